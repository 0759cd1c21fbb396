import { lookup } from 'node:dns/promises'
import ipaddr from 'ipaddr.js'
import type { GitCredentials } from '@/builder/builder'
import { AppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'

export type Scheme = 'https' | 'ssh' | 'http' | 'git'

/** A parsed repository address. `url` never contains `credentials`, so no message or argument can expose them. */
export interface RepositoryAddress {
  scheme: Scheme
  /** Lower case; IPv6 literals without brackets. */
  host: string
  port: number
  /** URL for git: without password, for ssh with the user. */
  url: string
  credentials: GitCredentials | null
}

/** An address that may be fetched, with the only IP to connect to. */
export interface PinnedAddress extends RepositoryAddress {
  ip: string
}

export type Reach = 'public' | 'private' | 'never'

const defaultPorts: Record<Scheme, number> = { https: 443, ssh: 22, http: 80, git: 9418 }
const hostPattern = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/
const userPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/
// Metadata services in private ranges: AWS over IPv6, Alibaba, Oracle.
const metadataAddresses = new Set(['fd00:ec2:0:0:0:0:0:254', '100.100.100.200', '192.0.0.192'])

const privateRanges = new Set(['private', 'loopback', 'carrierGradeNat', 'uniqueLocal'])

function refuse(message: string, nextAction: string): AppError {
  return new AppError('ERR_SOURCE', message, { step: 'source', nextAction })
}
const badAddress = (why: string) =>
  refuse(`The repository address is not usable: ${why}`, 'Use an address like https://github.com/acme/shop.git or git@github.com:acme/shop.git.')

const wrongScheme = () =>
  refuse('Repositories are fetched over https or ssh; from private networks over http and git, too', 'Use an https:// or ssh:// address.')

// Matches query parameters with secrets: GitLab's private_token, access_token, token, key, secret, sig and similar names.
const secretParameter = /[?&#][^=&#]*(token|secret|passw|key|auth|credential|sig)[^=&#]*=/i

/** Classifies an IP. IPv4 embedded in IPv6 (mapped, NAT64, 6to4) is classified as IPv4. */
export function reachOf(ip: string): Reach {
  let address: ipaddr.IPv4 | ipaddr.IPv6
  try {
    address = ipaddr.process(ip.split('%')[0] ?? ip)
  } catch {
    return 'never'
  }
  if (metadataAddresses.has(address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toNormalizedString() : address.toString())) return 'never'
  const range = address.range()
  if (range === 'unicast') return 'public'
  if (range === 'rfc6052') return reachOf(fromBytes(address.toByteArray().slice(12)))
  if (range === '6to4') return reachOf(fromBytes(address.toByteArray().slice(2, 6)))
  return privateRanges.has(range) ? 'private' : 'never'
}
const fromBytes = (bytes: number[]) => bytes.join('.')

function hasControlCharacter(text: string): boolean {
  for (const char of text) if (char.charCodeAt(0) <= 32 || char.charCodeAt(0) === 127) return true
  return false
}

function unbracket(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
}

/** Whether the host is an IP literal. "127.1" and "2130706433" are resolved as names, because parsers disagree about them. */
function isLiteral(host: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(host) || (host.includes(':') && ipaddr.IPv6.isValid(host))
}

function checkedHost(raw: string): string {
  const host = unbracket(raw.toLowerCase())
  if (isLiteral(host)) {
    if (host.includes('%')) throw badAddress('it names a network interface')
    return host
  }
  if (!hostPattern.test(host)) throw badAddress('the host name is not valid')
  return host
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Parses `git@host:acme/shop.git` */
function parseScp(text: string): RepositoryAddress | null {
  const match = /^(?:([^@/:]+)@)?(\[[0-9a-fA-F:.]+\]|[^:/@[\]]+):(?!\/\/)(.+)$/.exec(text)
  if (!match) return null
  const [, user = 'git', rawHost = '', path = ''] = match
  if (!userPattern.test(user)) throw badAddress('the user name is not valid')
  if (path.startsWith('-')) throw badAddress('the path begins with a dash')
  // In "user:password@host:path" the password would become part of the path.
  if (/^[^/]*@/.test(path)) throw badAddress('it holds a password, which ssh does not take')
  const host = checkedHost(rawHost)
  return { scheme: 'ssh', host, port: 22, url: `ssh://${user}@${bracket(host)}/${path.replace(/^\//, '')}`, credentials: null }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badAddress('it holds a broken percent escape')
  }
}

function parseUrl(text: string): RepositoryAddress {
  let parsed: URL
  try {
    parsed = new URL(text)
  } catch {
    throw badAddress('it is neither a URL nor of the form git@host:path')
  }
  const scheme = parsed.protocol.slice(0, -1)
  if (scheme !== 'https' && scheme !== 'ssh' && scheme !== 'http' && scheme !== 'git') throw wrongScheme()
  const host = checkedHost(parsed.hostname)
  const port = parsed.port === '' ? defaultPorts[scheme] : Number(parsed.port)
  if (port === 0) throw badAddress('the port is not valid')
  const path = parsed.pathname
  if (path === '' || path === '/') throw badAddress('it names a host but no repository')
  if (decode(path).startsWith('/-')) throw badAddress('the path begins with a dash')
  if (secretParameter.test(`${parsed.search}${parsed.hash}`))
    throw refuse(
      'The repository address carries a token in its query, which Git does not send',
      'Put it before the host instead, as a password: https://oauth2:<token>@host/path.git. It is stored sealed.',
    )
  const username = decode(parsed.username)
  const password = decode(parsed.password)
  const authority = parsed.port === '' ? bracket(host) : `${bracket(host)}:${port}`
  if (scheme === 'ssh') {
    const user = username || 'git'
    if (!userPattern.test(user)) throw badAddress('the user name is not valid')
    if (password) throw badAddress('it holds a password, which ssh does not take')
    return { scheme, host, port, url: `ssh://${user}@${authority}${path}`, credentials: null }
  }
  // Drop query and fragment: git would append "/info/refs" to them.
  const url = `${scheme}://${authority}${path}`
  return { scheme, host, port, url, credentials: username || password ? { username, password } : null }
}

/** Parses a repository address strictly. @throws AppError ERR_SOURCE; messages never contain the address, because it may include a password. */
export function parseAddress(text: string): RepositoryAddress {
  const trimmed = text.trim()
  if (trimmed === '') throw badAddress('it is empty')
  if (trimmed.length > 2048) throw badAddress('it is longer than 2,048 characters')
  if (trimmed.startsWith('-')) throw badAddress('it begins with a dash')
  if (hasControlCharacter(trimmed) || trimmed.includes('\\')) throw badAddress('it holds a space, a backslash or a control character')
  // Refuse remote helpers such as "ext::sh -c …".
  if (/^[A-Za-z0-9+.-]+::/.test(trimmed)) throw wrongScheme()
  if (trimmed.includes('://')) return parseUrl(trimmed)
  const scp = parseScp(trimmed)
  if (!scp) throw badAddress('it is neither a URL nor of the form git@host:path')
  return scp
}

/** Splits an address into a storable URL and credentials. `git@host:path` keeps its form. @throws AppError ERR_SOURCE as `parseAddress` */
export function splitAddress(text: string): { url: string; credentials: GitCredentials | null } {
  const { url, credentials } = parseAddress(text)
  return { url: text.includes('://') ? url : text.trim(), credentials }
}

/** Whether credentials of one address may be used for the other: same host, scheme and path, with or without `.git`. */
export function isSameRepository(one: string, other: string): boolean {
  const form = (text: string) => parseAddress(text).url.replace(/(\.git)?\/*$/, '')
  return form(one) === form(other)
}

export type Resolve = (host: string) => Promise<string[]>
const resolveByDns: Resolve = async (host) => (await lookup(host, { all: true })).map((entry) => entry.address)

/**
 * Resolves the host once and checks its addresses. The result contains the IP to connect to, which prevents DNS rebinding. A single forbidden
 * address refuses the host.
 * @throws AppError ERR_SOURCE
 */
export async function pinAddress(
  address: RepositoryAddress,
  options: { allowPrivateNetwork: boolean; signal?: AbortSignal; resolve?: Resolve },
): Promise<PinnedAddress> {
  const ips = await resolveHost(address.host, options.resolve ?? resolveByDns, options.signal)
  const reaches = ips.map(reachOf)
  const first = ips[0]
  if (first === undefined) throw refuse(`The host ${address.host} has no address`, 'Check the spelling of the repository address.')
  if (reaches.includes('never'))
    throw refuse(
      `The host ${address.host} leads to an address that is never fetched from (link-local, metadata, multicast or reserved)`,
      'Use the address of a Git host.',
    )
  if (reaches.includes('private') && !options.allowPrivateNetwork)
    throw refuse(
      `The host ${address.host} leads into a private network`,
      'Use a public Git host, or ask the operator of this installation to allow private networks for repositories.',
    )
  const plain = address.scheme === 'http' || address.scheme === 'git'
  if (plain && !(options.allowPrivateNetwork && reaches.every((reach) => reach === 'private')))
    throw refuse(`${address.scheme}:// is not encrypted and therefore not used for ${address.host}`, 'Use the https:// address of the repository.')
  // The git protocol has no option to pin the address, so replace the host by the IP.
  if (address.scheme === 'git')
    return { ...address, ip: first, url: address.url.replace(/^git:\/\/[^/]+/, `git://${bracket(first)}:${address.port}`) }
  return { ...address, ip: first }
}

/**
 * Checks an address before the first fetch: its syntax, and the current addresses of its host. Accepts a host that cannot be resolved now,
 * because the fetch checks again.
 * @throws AppError ERR_SOURCE
 */
export async function checkAddress(text: string, options: { allowPrivateNetwork: boolean; resolve?: Resolve }): Promise<void> {
  const address = parseAddress(text)
  const ips = await resolveHost(address.host, options.resolve ?? resolveByDns, AbortSignal.timeout(5_000)).catch(() => [])
  if (ips.length > 0) await pinAddress(address, { ...options, resolve: async () => ips })
}

async function resolveHost(host: string, resolve: Resolve, signal?: AbortSignal): Promise<string[]> {
  if (isLiteral(host)) return [host]
  try {
    return await withDeadline(`Looking up ${host}`, 15_000, () => resolve(host.replace(/\.$/, '')), signal)
  } catch (cause) {
    if (signal?.aborted) throw new AppError('ERR_CANCELED', 'Fetching the source was canceled', { cause })
    throw new AppError('ERR_SOURCE', `The host ${host} was not found`, {
      step: 'source',
      cause,
      nextAction: 'Check the spelling of the repository address, then try again.',
    })
  }
}
