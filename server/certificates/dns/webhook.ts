import { createHmac } from 'node:crypto'
import { OutboundError, pinnedRequest } from '../../outbound/pinned-request'
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
    const { allowPrivateNetwork, secret } = credentials
    const url = new URL(credentials.url)
    const body = JSON.stringify({ action, name, value })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
    const headers = {
      'content-type': 'application/json',
      'x-switchyard-timestamp': timestamp,
      'x-switchyard-signature': `sha256=${signature}`,
    }
    const answer = await pinnedRequest({ url, method: 'POST', headers, body, allowPrivateNetwork, maxAnswerBytes, deadlineMs, signal }).catch(
      (error: unknown) => {
        throw error instanceof OutboundError ? new DnsProviderError(`the webhook: ${error.message}`, error) : error
      },
    )
    const { status, text } = answer
    if (status < 200 || status > 299) throw new DnsProviderError(`the webhook answered ${status}${text ? `: ${text.slice(0, 200)}` : ''}`)
  }
  return {
    present: (name, value, signal) => send('present', name, value, signal),
    cleanup: (name, value, signal) => send('cleanup', name, value, signal),
  }
}
