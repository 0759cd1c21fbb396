import { createHmac } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { pinHost } from './guard'
import { type DnsProvider, DnsProviderError } from './provider'

export interface WebhookCredentials {
  url: string
  /** Key of the request signature. */
  secret: string
  /** Only for providers set up by an operator of this machine. */
  allowPrivateNetwork: boolean
}

const deadlineMs = 30_000
const maxAnswerBytes = 64 * 1024

/**
 * A webhook of the user: `POST {"action":"present"|"cleanup","name":…,"value":…}`; any 2xx means success. The signature proves sender and
 * time: `x-switchyard-timestamp` (seconds) and `x-switchyard-signature: sha256=` HMAC-SHA256 in hexadecimal over `timestamp.body`.
 */
export function createWebhook(credentials: WebhookCredentials): DnsProvider {
  const send = async (action: 'present' | 'cleanup', name: string, value: string, signal: AbortSignal) => {
    const url = new URL(credentials.url)
    const ip = await pinHost(url.hostname, credentials.allowPrivateNetwork)
    const body = JSON.stringify({ action, name, value })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const signature = createHmac('sha256', credentials.secret).update(`${timestamp}.${body}`).digest('hex')
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'switchyard',
      'x-switchyard-timestamp': timestamp,
      'x-switchyard-signature': `sha256=${signature}`,
    }
    const { status, text } = await post(url, ip, headers, body, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
    if (status < 200 || status > 299) throw new DnsProviderError(`the webhook answered ${status}${text ? `: ${text.slice(0, 200)}` : ''}`)
  }
  return {
    present: (name, value, signal) => send('present', name, value, signal),
    cleanup: (name, value, signal) => send('cleanup', name, value, signal),
  }
}

/** Connects to the checked address without resolving the name again; follows no redirects. */
function post(url: URL, ip: string, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const family = ip.includes(':') ? 6 : 4
  const lookup: LookupFunction = (_name, options, done) => (options.all ? done(null, [{ address: ip, family }]) : done(null, ip, family))
  const start = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(signal.aborted ? signal.reason : new DnsProviderError('the webhook does not answer', cause))
    const outgoing = start(url, { method: 'POST', headers, lookup, signal, agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.length > maxAnswerBytes) response.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', fail)
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}
