import { isIP } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'
import { parse } from 'tldts'
import type { DomainKind } from '@/shared/domains'
import { AppError } from '@/shared/errors'

/** A hostname in stored form: lower case, punycode, no trailing dot; wildcards start with `*.`. */
export interface DomainName {
  hostname: string
  kind: DomainKind
  /** Without `*.`: the name for DNS queries and claims. */
  base: string
  /** The registrable domain: `example.co.uk`. */
  registrable: string
}

// RFC 1123 §2.1: letters, digits and inner hyphens; RFC 1035 §2.3.4: 63 octets a label, 253 a name.
const namePattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/

const refuse = (message: string, nextAction: string) => new AppError('ERR_INVALID_INPUT', message, { nextAction })
const exampleAction = 'Enter a name like example.com, www.example.com or *.example.com.'

/** Removes scheme, path and port, because users paste URLs. */
const withoutUrl = (input: string): string =>
  input
    .trim()
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
    .replace(/[/?#].*$/, '')
    .replace(/:\d+$/, '')
    .replace(/\.$/, '')

/**
 * Parses user input into a name that can be routed and certified.
 * @throws AppError ERR_INVALID_INPUT with the reason: an IP address, a single label, a public suffix, a wildcard in the middle.
 */
export function parseDomainName(input: string): DomainName {
  const typed = withoutUrl(input)
  const wildcard = typed.startsWith('*.')
  const typedBase = wildcard ? typed.slice(2) : typed
  if (typedBase.includes('*'))
    throw refuse(`${typed} has a * that is not its first label.`, 'A wildcard stands for one label, at the front: *.example.com.')
  if (isIP(typedBase) || /^\[.*\]$/.test(typedBase)) throw refuse(`${typed} is an IP address, not a name.`, exampleAction)
  const base = domainToASCII(typedBase)
  if (isIP(base)) throw refuse(`${typed} is an IP address, not a name.`, exampleAction)
  if (base && !base.includes('.')) throw refuse(`${typed} is a single label, which no public DNS answers for.`, exampleAction)
  if (!namePattern.test(base)) throw refuse(`${typed || 'Nothing'} is not a hostname.`, exampleAction)
  // Private suffixes (github.io) count as public suffixes: names below them belong to different owners.
  const { domain, publicSuffix } = parse(base, { allowPrivateDomains: true })
  if (!domain)
    throw refuse(
      wildcard
        ? `*.${base} would cover names of others: ${publicSuffix ?? base} is a public suffix.`
        : `${base} is a public suffix: names are registered below it.`,
      exampleAction,
    )
  return { hostname: wildcard ? `*.${base}` : base, kind: wildcard ? 'wildcard' : base === domain ? 'apex' : 'subdomain', base, registrable: domain }
}

/**
 * Parses a stored hostname without validation. The list of public suffixes changes with each version: a stored name that has become a
 * suffix must not prevent its list from being shown or the domain from being removed.
 */
export function storedDomainName(hostname: string): DomainName {
  try {
    return parseDomainName(hostname)
  } catch {
    const wildcard = hostname.startsWith('*.')
    const base = wildcard ? hostname.slice(2) : hostname
    return { hostname, kind: wildcard ? 'wildcard' : 'subdomain', base, registrable: base }
  }
}

/** For display: Unicode instead of punycode, with `*.` kept. */
export const displayName = (hostname: string): string =>
  hostname.startsWith('*.') ? `*.${domainToUnicode(hostname.slice(2))}` : domainToUnicode(hostname)

/** The www name of an apex, or the apex of a www name; null for other names. */
export function counterpartOf({ kind, hostname, registrable }: DomainName): string | null {
  if (kind === 'apex') return `www.${hostname}`
  return hostname === `www.${registrable}` ? registrable : null
}

/** Whether `hostname` is `host` or below it. */
export const isWithin = (hostname: string, host: string): boolean => hostname === host || hostname.endsWith(`.${host}`)

/** The name as DNS hosts' forms expect it: relative to the registrable domain, `@` for that domain itself. */
export function relativeName(name: string, registrable: string): string {
  if (name === registrable) return '@'
  return name.endsWith(`.${registrable}`) ? name.slice(0, -registrable.length - 1) : name
}

/** Converts a typed part of a name to stored form: lower case, labels of other scripts in punycode. */
export function searchedName(typed: string): string {
  const text = withoutUrl(typed).toLowerCase()
  // Only for non-ASCII text: domainToASCII would turn a number into an IP address.
  return /[^\x20-\x7e]/.test(text) ? domainToASCII(text) || text : text
}
