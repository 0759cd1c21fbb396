import { challengeTtl, type DnsProvider, DnsProviderError, parseJson, request, zoneCandidates } from './provider'

interface Envelope {
  success?: boolean
  errors?: { code?: number; message?: string }[]
  result?: unknown
}

const host = 'Cloudflare'
/** Error code for "An identical record already exists." */
const identicalRecord = 81_058

/** API v4 with a token that may read zones and edit their DNS. https://developers.cloudflare.com/api/resources/dns/ */
export function createCloudflare(credentials: { apiToken: string }, baseUrl = 'https://api.cloudflare.com/client/v4'): DnsProvider {
  async function call(method: string, path: string, signal: AbortSignal, body?: object): Promise<Envelope> {
    const { status, text } = await request(host, `${baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${credentials.apiToken}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal,
    })
    const answer = (parseJson(text) ?? {}) as Envelope
    if (status < 300 && answer.success) return answer
    const reasons = answer.errors?.map((one) => one.message ?? String(one.code)).join('; ')
    if (answer.errors?.some((one) => one.code === identicalRecord)) return answer
    throw new DnsProviderError(`${host} answered ${status}${reasons ? `: ${reasons}` : ''}`)
  }
  async function zoneOf(name: string, signal: AbortSignal): Promise<string> {
    for (const candidate of zoneCandidates(name)) {
      const { result } = await call('GET', `/zones?name=${encodeURIComponent(candidate)}`, signal)
      const [zone] = (result ?? []) as { id: string }[]
      if (zone) return zone.id
    }
    throw new DnsProviderError(`${host} has no zone for ${name} that this token may see`)
  }
  return {
    async present(name, value, signal) {
      const zone = await zoneOf(name, signal)
      await call('POST', `/zones/${zone}/dns_records`, signal, { type: 'TXT', name, content: `"${value}"`, ttl: challengeTtl })
    },
    async cleanup(name, value, signal) {
      const zone = await zoneOf(name, signal)
      const { result } = await call('GET', `/zones/${zone}/dns_records?type=TXT&name=${encodeURIComponent(name)}`, signal)
      const ours = ((result ?? []) as { id: string; content: string }[]).filter((one) => one.content.replace(/^"|"$/g, '') === value)
      for (const { id } of ours) await call('DELETE', `/zones/${zone}/dns_records/${id}`, signal)
    },
  }
}
