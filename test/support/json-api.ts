import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

/** An HTTP server on a free port that answers with what `handle` returns; a string body is sent as it is. */
export async function startApi(
  handle: (request: { method: string; url: URL; headers: IncomingMessage['headers']; body: string }) => Answer | Promise<Answer>,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', async () => {
      const url = new URL(request.url ?? '/', 'http://api')
      const answer = await handle({ method: request.method ?? 'GET', url, headers: request.headers, body })
      const text = answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      response
        .writeHead(answer.status, { 'content-type': typeof answer.body === 'string' ? 'text/xml' : 'application/json', ...answer.headers })
        .end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
