import { isIP } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'
import { parse } from 'tldts'
import type { DomainKind } from '@/shared/domains'
import { AppError } from '@/shared/errors'

/** A hostname as it is kept: lower case, punycode, no trailing dot; `*.` before a wildcard. */
export interface DomainName {
  hostname: string
  kind: DomainKind
  /** Without `*.`: what is asked of DNS and what a claim is about. */
  base: string
  /** What one registers: `example.co.uk`. */
  registrable: string
}

// RFC 1123 §2.1: letters, digits and inner hyphens; RFC 1035 §2.3.4: 63 octets a label, 253 a name.
const namePattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/

const refuse = (message: string, nextAction: string) => new AppError('ERR_INVALID_INPUT', message, { nextAction })
const exampleAction = 'Enter a name like example.com, www.example.com or *.example.com.'

/** People paste addresses: scheme, path and port are not part of the name. */
const withoutUrl = (input: string): string =>
  input
    .trim()
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
    .replace(/[/?#].*$/, '')
    .replace(/:\d+$/, '')
    .replace(/\.$/, '')

/**
 * What a person typed, as a name that can be routed and certified.
 * @throws AppError ERR_INVALID_INPUT that says why not: an IP address, a single label, a public suffix, a wildcard in the middle.
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
  // Hosts of others (github.io) count as suffixes: who has one name below them has not the next.
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
 * A name that was accepted once. Public suffixes change with each version: one that has become a suffix since must not keep the list it
 * is in from being shown, nor itself from being removed.
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

/** `*.` and IDN as people read them. */
export const displayName = (hostname: string): string =>
  hostname.startsWith('*.') ? `*.${domainToUnicode(hostname.slice(2))}` : domainToUnicode(hostname)

/** www for an apex, the apex for its www; null for anything else. */
export function counterpartOf({ kind, hostname, registrable }: DomainName): string | null {
  if (kind === 'apex') return `www.${hostname}`
  return hostname === `www.${registrable}` ? registrable : null
}

/** `host` and everything below it. */
export const isWithin = (hostname: string, host: string): boolean => hostname === host || hostname.endsWith(`.${host}`)

/** The name as forms of DNS hosts want it: relative to what was registered, `@` for that itself. */
export function relativeName(name: string, registrable: string): string {
  if (name === registrable) return '@'
  return name.endsWith(`.${registrable}`) ? name.slice(0, -registrable.length - 1) : name
}

/** Part of a name as somebody types it, as names are kept: lower case, and whole labels of other scripts in punycode. */
export function searchedName(typed: string): string {
  const text = withoutUrl(typed).toLowerCase()
  // Only then: what looks like a number would be taken for an address.
  return /[^\x20-\x7e]/.test(text) ? domainToASCII(text) || text : text
}
