import type { IncomingHttpHeaders } from 'node:http'
import { type Answer, startApi } from './json-api'

export interface Received {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface Receiver {
  url: string
  /** Requests so far, in their order of arrival. */
  received: Received[]
  close(): Promise<void>
}

/** An HTTP server of somebody else that records requests. An answer that never settles is a server that hangs. */
export async function startReceiver(answer: (request: Received, count: number) => Answer | Promise<Answer>): Promise<Receiver> {
  const received: Received[] = []
  const api = await startApi(({ method, url, headers, body }) => {
    const one = { method, path: url.pathname + url.search, headers, body }
    received.push(one)
    return answer(one, received.length)
  })
  return { ...api, received }
}
