import { createHash } from 'node:crypto'
import http2 from 'node:http2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useEngine } from '../contract/harness'
import { httpOrigin, RawClient, request, until } from '../contract/testing'
import { createLeanEngine } from '../lean'
import { type LoadGauge, nextReadBuffer, slowReaders, uploads } from './load-gauge'

/** As if so many others were slow. */
function useCrowd(crowd: LoadGauge): void {
  const most = 2_000
  beforeEach(() => {
    for (let i = 0; i < most; i++) crowd.enter()
  })
  afterEach(() => {
    for (let i = 0; i < most; i++) crowd.leave()
    expect(crowd.overloaded).toBe(false)
  })
}

describe('in a crowd of uploads', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  useCrowd(uploads)
  const post = (...lines: string[]) => ['POST /slow HTTP/1.1', 'Host: app.test', ...lines, '', ''].join('\r\n')

  /** Says what it got, once it has all of it; `asked` are the requests whose head it saw. */
  const echo = async (limits = {}) => {
    const asked: string[] = []
    const origin = await keep(
      httpOrigin((req, res) => {
        asked.push(req.url ?? '')
        const hash = createHash('sha256')
        let size = 0
        req.on('data', (chunk: Buffer) => {
          size += chunk.length
          hash.update(chunk)
        })
        req.on('end', () => res.end(`${size} ${hash.digest('hex')}.`))
        req.on('error', () => {})
      }),
    )
    const { engine, port } = await engineTo([origin.target], { clientIdleTimeoutMs: 20_000, upstreamTimeoutMs: 20_000, ...limits })
    /** Another request was answered, and still nobody was asked about the slow one. */
    const stillHeld = async () => {
      expect((await request({ port, path: '/quick', headers: { Host: 'app.test' } })).status).toBe(200)
      expect(asked).not.toContain('/slow')
    }
    return { engine, port, asked, stillHeld }
  }
  const digest = (body: string) => `${body.length} ${createHash('sha256').update(body).digest('hex')}.`

  test('no instance is asked before the whole of a small body is here, and then it gets all of it', async () => {
    const { port, stillHeld } = await echo()
    const client = await RawClient.connect(port)
    client.write(`${post('Content-Length: 10')}abc`)
    await stillHeld()
    client.write('defg')
    await stillHeld()
    client.write('hij')
    await client.read((text) => text.endsWith('.'))
    expect(client.text()).toContain(digest('abcdefghij'))
    // The connection goes on.
    client.write(`${post('Content-Length: 3')}abc`)
    await client.read((text) => text.includes(digest('abc')))
    client.destroy()
  })

  test('a large body is streamed as soon as a good part of it is here', async () => {
    const { port, asked, stillHeld } = await echo()
    const body = Array.from({ length: 40_000 }, (_, i) => String.fromCharCode(97 + (i % 23))).join('')
    const client = await RawClient.connect(port)
    client.write(post(`Content-Length: ${body.length}`) + body.slice(0, 5_000))
    await stillHeld()
    client.write(body.slice(5_000, 9_000))
    await until('it is asked', () => asked.includes('/slow'))
    client.write(body.slice(9_000))
    await client.read((text) => text.includes(digest(body)))
    client.destroy()
  })

  test('chunks wait for the last one', async () => {
    const { port, stillHeld } = await echo()
    const client = await RawClient.connect(port)
    client.write(`${post('Transfer-Encoding: chunked')}3\r\nabc\r\n`)
    await stillHeld()
    client.write('2\r\nde\r\n0\r\n\r\n')
    await client.read((text) => text.includes(digest('abcde')))
    client.destroy()
  })

  test('who waits for leave to send gets it', async () => {
    const { port, stillHeld } = await echo()
    const client = await RawClient.connect(port)
    client.write(post('Content-Length: 5', 'Expect: 100-continue'))
    await client.read((text) => text.startsWith('HTTP/1.1 100 '))
    await stillHeld()
    client.write('abcde')
    await client.read((text) => text.includes(digest('abcde')))
    expect(client.text().match(/HTTP\/1.1 100 /g)).toHaveLength(1)
    client.destroy()
  })

  test('who stops sending is told 408, and who leaves is forgotten, without an instance having been asked', async () => {
    const { engine, port, asked } = await echo({ clientIdleTimeoutMs: 800 })
    const [silent, gone] = [await RawClient.connect(port), await RawClient.connect(port)]
    for (const client of [silent, gone]) client.write(`${post('Content-Length: 10')}abc`)
    gone.destroy()
    expect(await silent.read()).toMatch(/^HTTP\/1.1 408 /)
    expect(asked).toEqual([])
    await engine.drain({ deadlineMs: 3_000, idleGraceMs: 0 })
  })

  test('the same in HTTP/2; a body of unknown length may converse and is passed on at once', async () => {
    const { port, asked, stillHeld } = await echo()
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const begin = (headers: http2.OutgoingHttpHeaders) => {
      const stream = session.request({ ':method': 'POST', ':authority': 'app.test', ...headers })
      const answer = new Promise<string>((resolve, reject) => {
        let text = ''
        stream.setEncoding('utf8')
        stream.on('data', (part: string) => {
          text += part
        })
        stream.on('end', () => resolve(text))
        stream.on('error', reject)
      })
      return { stream, answer }
    }
    const held = begin({ ':path': '/slow', 'content-length': 10 })
    held.stream.write('abc')
    await stillHeld()
    held.stream.end('defghij')
    expect(await held.answer).toBe(digest('abcdefghij'))
    const large = begin({ ':path': '/large', 'content-length': 500_000 })
    large.stream.write('x'.repeat(9_000))
    await until('it is asked', () => asked.includes('/large'))
    large.stream.end('x'.repeat(491_000))
    expect(await large.answer).toBe(digest('x'.repeat(500_000)))
    const talk = begin({ ':path': '/talk' })
    talk.stream.write('abc')
    await until('it is asked', () => asked.includes('/talk'))
    talk.stream.end()
    expect(await talk.answer).toBe(digest('abc'))
    session.destroy()
  })
})

test('a few slow clients change nothing', () => {
  for (const crowd of [uploads, slowReaders]) expect(crowd.overloaded).toBe(false)
  expect(nextReadBuffer().length).toBe(65_536)
})

describe('in a crowd of clients that do not read', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  useCrowd(slowReaders)

  test('little is read for each', () => {
    expect(nextReadBuffer().length).toBe(8_192)
  })

  test('an answer is whole, however late its client reads, and the next one too', async () => {
    const body = Buffer.from(Uint8Array.from({ length: 8_000_000 }, (_, i) => (i * 31 + (i >> 8) * 7) & 0xff))
    const origin = await keep(httpOrigin((_req, res) => res.end(body)))
    const { engine, port } = await engineTo([origin.target], { clientIdleTimeoutMs: 20_000, upstreamTimeoutMs: 20_000 })
    const client = await RawClient.connect(port)
    for (let turn = 1; turn <= 2; turn++) {
      client.received = Buffer.alloc(0)
      client.socket.pause()
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await until('it is in flight', () => engine.inFlight(['app']).app === 1)
      client.socket.resume()
      const chunks: Buffer[] = []
      let size = 0
      client.socket.removeAllListeners('data')
      await new Promise<void>((resolve) => {
        client.socket.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          size += chunk.length
          if (size > body.length) resolve()
        })
      })
      await until('all of it', () => Buffer.concat(chunks).subarray(-body.length).equals(body))
    }
    client.destroy()
  })

  test('who takes nothing is given up by a reset, and its place at the instance with it', async () => {
    const body = Buffer.alloc(20_000_000)
    const origin = await keep(httpOrigin((_req, res) => res.end(body)))
    const { engine, port } = await engineTo([origin.target], { clientIdleTimeoutMs: 500, upstreamTimeoutMs: 20_000 })
    const client = await RawClient.connect(port)
    client.socket.pause()
    const errors: string[] = []
    client.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
    client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    await until('it is in flight', () => engine.inFlight(['app']).app === 1)
    await until('it is given up', () => engine.inFlight(['app']).app === 0)
    client.socket.resume()
    await until('the client hears of it', () => errors.includes('ECONNRESET'))
  })
})
