import { setTimeout as wait } from 'node:timers/promises'
import { challengeTtl, type DnsProvider, DnsProviderError, request, zoneCandidates } from './provider'
import { signV4 } from './sigv4'

const host = 'Route 53'
const version = '/2013-04-01'
const syncPollMs = 2_000
const attempts = 5

export interface Route53Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
  /** Only needed if the key must not list zones. */
  hostedZoneId?: string | undefined
}

const decodeXml = (text: string) =>
  text
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&')
const encodeXml = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
/** Contents of all `<tag>` elements; the API's responses are flat here. */
const all = (xml: string, tag: string): string[] => [...xml.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map((match) => match[1] ?? '')
const text = (xml: string, tag: string): string => decodeXml(all(xml, tag)[0] ?? '')
/** Names come with a trailing dot and with `\052` for an asterisk. */
const plain = (name: string) => name.replace(/\.$/, '').replace('\\052', '*').toLowerCase()

/**
 * Route 53 replaces all TXT values of a name as one set. To keep the values of others, read the set first and delete exactly that set in
 * the change: a concurrent change makes Route 53 refuse, and the change is retried.
 * https://docs.aws.amazon.com/Route53/latest/APIReference/
 */
export function createRoute53(credentials: Route53Credentials, baseUrl = 'https://route53.amazonaws.com', pollMs = syncPollMs): DnsProvider {
  async function call(method: string, path: string, signal: AbortSignal, body = ''): Promise<string> {
    const url = new URL(`${baseUrl}${version}${path}`)
    const headers = signV4(
      { method, url, body, headers: body ? { 'content-type': 'text/xml' } : {} },
      { ...credentials, region: 'us-east-1', service: 'route53', now: new Date() },
    )
    const answer = await request(host, url.href, { method, headers, signal, ...(body ? { body } : {}) })
    if (answer.status < 300) return answer.text
    throw new Route53Error(answer.status, text(answer.text, 'Code'), text(answer.text, 'Message'))
  }
  async function zoneOf(name: string, signal: AbortSignal): Promise<string> {
    if (credentials.hostedZoneId) return credentials.hostedZoneId
    for (const candidate of zoneCandidates(name)) {
      const answer = await call('GET', `/hostedzonesbyname?dnsname=${encodeURIComponent(candidate)}&maxitems=10`, signal)
      const zone = all(answer, 'HostedZone').find((one) => plain(text(one, 'Name')) === candidate && text(one, 'PrivateZone') !== 'true')
      if (zone) return text(zone, 'Id').replace('/hostedzone/', '')
    }
    throw new DnsProviderError(`${host} has no hosted zone for ${name} that this key may see`)
  }
  /** The current record set; null: none. */
  async function read(zone: string, name: string, signal: AbortSignal): Promise<{ ttl: string; values: string[] } | null> {
    const answer = await call('GET', `/hostedzone/${zone}/rrset?name=${encodeURIComponent(name)}&type=TXT&maxitems=1`, signal)
    const set = all(answer, 'ResourceRecordSet').find((one) => plain(text(one, 'Name')) === name && text(one, 'Type') === 'TXT')
    return set ? { ttl: text(set, 'TTL'), values: all(set, 'Value').map(decodeXml) } : null
  }
  const change = (action: 'CREATE' | 'DELETE', name: string, ttl: string | number, values: readonly string[]) =>
    `<Change><Action>${action}</Action><ResourceRecordSet><Name>${encodeXml(name)}.</Name><Type>TXT</Type><TTL>${ttl}</TTL><ResourceRecords>${values
      .map((value) => `<ResourceRecord><Value>${encodeXml(value)}</Value></ResourceRecord>`)
      .join('')}</ResourceRecords></ResourceRecordSet></Change>`

  /** Deletes the set that was read and creates the new one in a single transaction. @returns id of the change; null: nothing to change */
  async function replace(name: string, edit: (values: string[]) => string[], signal: AbortSignal): Promise<string | null> {
    const zone = await zoneOf(name, signal)
    for (let attempt = 1; ; attempt++) {
      const before = await read(zone, name, signal)
      const values = edit(before?.values ?? [])
      if (values.length === (before?.values.length ?? 0)) return null
      const changes = [
        before ? change('DELETE', name, before.ttl, before.values) : '',
        values.length > 0 ? change('CREATE', name, before?.ttl ?? challengeTtl, values) : '',
      ].join('')
      const body = `<?xml version="1.0" encoding="UTF-8"?><ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes>${changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`
      try {
        return text(await call('POST', `/hostedzone/${zone}/rrset`, signal, body), 'Id').replace('/change/', '')
      } catch (error) {
        if (!(error instanceof Route53Error) || !error.passing || attempt === attempts) throw error
        await wait(pollMs * attempt, undefined, { signal })
      }
    }
  }
  return {
    async present(name, value, signal) {
      const quoted = `"${value}"`
      const id = await replace(name, (values) => (values.includes(quoted) ? values : [...values, quoted]), signal)
      if (!id) return
      // PENDING until all name servers of Route 53 have the change.
      while (text(await call('GET', `/change/${id}`, signal), 'Status') !== 'INSYNC') await wait(pollMs, undefined, { signal })
    },
    async cleanup(name, value, signal) {
      await replace(name, (values) => values.filter((one) => one !== `"${value}"`), signal)
    },
  }
}

class Route53Error extends DnsProviderError {
  /** A retry may succeed: the set was changed concurrently, or the request was throttled. */
  readonly passing: boolean
  constructor(status: number, code: string, message: string) {
    super(`${host} answered ${status}${code ? ` ${code}` : ''}${message ? `: ${message}` : ''}`)
    this.passing = ['InvalidChangeBatch', 'PriorRequestNotComplete', 'Throttling'].includes(code)
  }
}
