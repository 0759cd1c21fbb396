import type { DomainCheck } from '@/shared/domains'
import { type Facts, isProvedByDns, valuesOf } from './facts'
import { finding, listed } from './finding'
import { type KnownProxy, proxyAt } from './proxies'
import type { Visit } from './reach'

const offAdvice: Record<KnownProxy, string> = {
  Cloudflare: 'At Cloudflare, click the orange cloud of this record so that it turns grey (DNS only).',
  Fastly:
    'Point the record at this server itself, or set this server as the origin of the Fastly service and let it pass /.well-known/acme-challenge/.',
}

/** Checks for a reverse proxy in front of this server. */
export function checkProxy(facts: Facts): DomainCheck {
  const all = [...valuesOf(facts.a), ...valuesOf(facts.aaaa)]
  const proxies = [...new Set(all.flatMap((address) => proxyAt(address) ?? []))]
  const passing = facts.http.filter((one) => one.kind === 'ours' && !facts.own.addresses.includes(one.address))
  if (proxies.length > 0) {
    const [first = 'Cloudflare'] = proxies
    if (all.every((address) => reached(facts, address)))
      return finding('proxy', 'warn', `${listed(proxies)} is a proxy in front of this server and forwards requests to it.`, {
        fix:
          first === 'Cloudflare'
            ? 'It works. Set its SSL/TLS mode to “Full (strict)” once the certificate exists; “Flexible” causes a loop of HTTPS redirects.'
            : null,
      })
    return finding(
      'proxy',
      'fail',
      `${listed(proxies)} is a proxy in front of this server, and its requests do not arrive here${first === 'Cloudflare' ? ' (the orange cloud is on)' : ''}.`,
      {
        fix: offAdvice[first],
        blocks: 'traffic',
      },
    )
  }
  if (passing.length > 0)
    return finding('proxy', 'warn', `Requests to ${listed(passing.map((one) => one.address))} arrive here through a proxy, load balancer or NAT.`, {
      fix: 'If it is the public address of this server, its operator can say so with EDGE_PUBLIC_ADDRESSES.',
    })
  return finding('proxy', 'ok', 'No known proxy is in front of this server.')
}

const reached = (facts: Facts, address: string): boolean => {
  const by = (visits: Visit[] | null) => visits?.find((one) => one.address === address)
  const http = by(facts.http)
  // A CA follows a redirect to HTTPS on the same host.
  return http?.kind === 'ours' || (http?.toHttps === true && by(facts.https)?.kind === 'ours')
}

/** Cause and fix of a failed visit. `hairpin`: many routers do not return a private network's packets to their own public address. */
function explain(one: Visit, facts: Facts, port: number): { cause: string; fix: string | null; state: 'fail' | 'warn' } {
  const at = `${one.address}:${port}`
  const hairpin = facts.own.addresses.includes(one.address) && !facts.own.local.includes(one.address)
  switch (one.kind) {
    case 'refused':
      return { cause: `${at} refuses connections.`, fix: `Open port ${port} to the router of this server.`, state: 'fail' }
    case 'timeout':
    case 'unreachable':
      if (hairpin)
        return {
          cause: `${at} could not be reached from this server itself. That may be the network: many routers do not lead back to their own public address.`,
          fix: `Check from outside that port ${port} is open and forwarded to this server.`,
          state: 'warn',
        }
      return { cause: `${at} does not answer.`, fix: `Open port ${port} in the firewall, and forward it to this server.`, state: 'fail' }
    case 'forbidden':
      return {
        cause: `${one.address} lies in a private or reserved network and is not an address of this server.`,
        fix: 'Point the record at this server.',
        state: 'fail',
      }
    case 'tls':
      return { cause: `Something answers on ${at}, but makes no TLS connection.`, fix: null, state: 'warn' }
    default:
      return {
        cause: `${at} is answered by another server (status ${one.status}).`,
        fix: `Point the record at this server, or open port ${port} to its router.`,
        state: 'fail',
      }
  }
}

/** Checks port 80: CAs use it, and so do visitors who type the name without a scheme. */
export function checkHttp(facts: Facts, port: number): DomainCheck {
  const blocks = isProvedByDns(facts) ? null : 'certificate'
  if (facts.http.length === 0) return finding('http', 'unknown', 'Not tried: there is no address to visit yet.', { blocks })
  const failed = facts.http.filter((one) => !reached(facts, one.address))
  const [first] = failed
  if (!first) return finding('http', 'ok', `A request for ${facts.probed} arrived here.`)
  const { cause, fix, state } = explain(first, facts, port)
  return finding('http', state, cause, { fix, blocks: state === 'fail' ? blocks : null })
}

/** Before a certificate exists, checks only that the port is open. */
export function checkHttps(facts: Facts, port: number | null): DomainCheck {
  if (port === null || facts.certificateMode === 'off') return finding('https', 'ok', 'HTTPS is off.')
  const blocks = isProvedByDns(facts) ? null : 'certificate'
  if (!facts.https) return finding('https', 'unknown', 'Not tried: there is no address to visit yet.', { blocks })
  const failed = facts.https.filter((one) => one.kind !== 'ours' && one.kind !== 'tls')
  const [first] = failed
  if (!first)
    return finding(
      'https',
      'ok',
      facts.https.every((one) => one.kind === 'ours')
        ? `A request for https://${facts.probed} arrived here.`
        : 'The port is open; it is this server’s to answer once there is a certificate.',
    )
  const { cause, fix, state } = explain(first, facts, port)
  return finding('https', state, cause, { fix, blocks: state === 'fail' ? blocks : null })
}
