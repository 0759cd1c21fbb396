import http2 from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import { useEngine } from '../contract/harness'
import { scriptedOrigin } from '../contract/testing'
import { createLeanEngine } from '../lean'

describe('what the router answers by itself over HTTP/2', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const sessions: http2.ClientHttp2Session[] = []
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy()
  })
  const ask = async (headers: http2.OutgoingHttpHeaders) => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const { port } = await engineTo([origin.target])
    const session = http2.connect(`http://127.0.0.1:${port}`)
    sessions.push(session)
    const stream = session.request({ ':authority': 'app.test', ...headers })
    const answer = await new Promise<http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader>((resolve, reject) => {
      stream.on('response', resolve)
      stream.on('error', reject)
    })
    return { answer, asked: origin.text() }
  }

  test('OPTIONS * asks about the router, not about an app', async () => {
    const { answer, asked } = await ask({ ':method': 'OPTIONS', ':path': '*' })
    expect(answer).toMatchObject({ ':status': 204, allow: expect.stringContaining('GET') })
    expect(asked).toBe('')
  })

  test.each([
    ['a path longer than a head may be', 414, { ':path': `/${'a'.repeat(30_000)}` }],
    ['a field longer than a head may be', 431, { 'x-long': 'a'.repeat(30_000) }],
    ['a method nobody knows', 501, { ':method': 'BREW' }],
  ])('%s: %i', async (_what, status, headers) => {
    const { answer, asked } = await ask(headers)
    expect(answer).toMatchObject({ ':status': status, 'x-request-id': expect.any(String) })
    expect(asked).toBe('')
  })
})
