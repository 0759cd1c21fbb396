import { challengeTtl, type DnsProvider, DnsProviderError, parseJson, request, zoneCandidates } from './provider'

const host = 'DigitalOcean'

interface DomainRecord {
  id: number
  type: string
  name: string
  data: string
}

/** API v2 with a token that may read and write domains. https://docs.digitalocean.com/reference/api/ */
export function createDigitalOcean(credentials: { apiToken: string }, baseUrl = 'https://api.digitalocean.com'): DnsProvider {
  /** null: the API answered 404. */
  async function call(method: string, path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    const { status, text } = await request(host, `${baseUrl}/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${credentials.apiToken}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal,
    })
    if (status === 404) return null
    const answer = parseJson(text) as { message?: string } | null
    if (status >= 300) throw new DnsProviderError(`${host} answered ${status}${answer?.message ? `: ${answer.message}` : ''}`)
    return answer ?? {}
  }
  async function zoneOf(name: string, signal: AbortSignal): Promise<string> {
    for (const candidate of zoneCandidates(name)) if (await call('GET', `/domains/${encodeURIComponent(candidate)}`, signal)) return candidate
    throw new DnsProviderError(`${host} has no domain for ${name} that this token may see`)
  }
  /** All matching records. The API's name filter takes full names. */
  async function recordsOf(zone: string, name: string, signal: AbortSignal): Promise<DomainRecord[]> {
    const answer = (await call(
      'GET',
      `/domains/${encodeURIComponent(zone)}/records?type=TXT&name=${encodeURIComponent(name)}&per_page=200`,
      signal,
    )) as {
      domain_records?: DomainRecord[]
    } | null
    return answer?.domain_records ?? []
  }
  return {
    async present(name, value, signal) {
      const zone = await zoneOf(name, signal)
      if ((await recordsOf(zone, name, signal)).some((one) => one.data === value)) return
      const relative = name === zone ? '@' : name.slice(0, -zone.length - 1)
      await call('POST', `/domains/${encodeURIComponent(zone)}/records`, signal, { type: 'TXT', name: relative, data: value, ttl: challengeTtl })
    },
    async cleanup(name, value, signal) {
      const zone = await zoneOf(name, signal)
      for (const { id, data } of await recordsOf(zone, name, signal))
        if (data === value) await call('DELETE', `/domains/${encodeURIComponent(zone)}/records/${id}`, signal)
    },
  }
}
