import { createHash } from 'node:crypto'
import http from 'node:http'
import { describe, expect, test } from 'vitest'
import { defaultProjectRules } from '@/shared/project-rules'
import type { EngineFactory } from '../engine'
import { useEngine, watchKeepAlive } from './harness'
import { plan, ScriptedGate } from './scripted'
import { httpOrigin, RawClient, request, scriptedOrigin, until } from './testing'

const total = 100 * 1024 * 1024
const block = Buffer.alloc(256 * 1024, 7)
/** Maximum bytes in buffers of kernels and streams. A router that buffers responses would read all of `total`. */
const maxInFlight = 24 * 1024 * 1024

/** Writes `total` bytes with backpressure. */
function pump(to: NodeJS.WritableStream, progress: { sent: number }): void {
  const more = () => {
    while (progress.sent < total) {
      progress.sent += block.length
      if (!to.write(block)) return void to.once('drain', more)
    }
    to.end()
  }
  more()
}

/** Waits until `value` stops changing: the sender is blocked. */
async function plateau(value: () => number): Promise<number> {
  let last = -1
  let since = Date.now()
  await until('the sender is blocked', () => {
    const now = value()
    if (now !== last) {
      last = now
      since = Date.now()
    }
    return now > 0 && Date.now() - since > 400
  })
  return last
}

export function streamingContract(createEngine: EngineFactory): void {
  describe('streaming', () => {
    const { keep, engineTo } = useEngine(createEngine)
    const patient = { upstreamTimeoutMs: 20_000, clientIdleTimeoutMs: 20_000 }

    test('a 100 MB answer waits for a slow client instead of filling memory, and arrives whole', async () => {
      const progress = { sent: 0 }
      const origin = await keep(httpOrigin((_req, res) => pump(res, progress)))
      const { port } = await engineTo([origin.target], patient)
      const received = await new Promise<http.IncomingMessage>((resolve, reject) => {
        http.get({ port, host: '127.0.0.1', headers: { Host: 'app.test' }, agent: false }, resolve).on('error', reject)
      })
      received.pause()
      expect(await plateau(() => progress.sent)).toBeLessThan(maxInFlight)
      let size = 0
      for await (const chunk of received) size += (chunk as Buffer).length
      expect(size).toBe(total)
    }, 60_000)

    test('a 100 MB body waits for a slow instance instead of filling memory, and arrives whole', async () => {
      let arrived: http.IncomingMessage | undefined
      const origin = await keep(
        httpOrigin((req, res) => {
          arrived = req
          req.pause()
          const hash = createHash('sha256')
          let size = 0
          req.on('data', (chunk: Buffer) => {
            size += chunk.length
            hash.update(chunk)
          })
          req.pause()
          req.on('end', () => res.end(JSON.stringify({ size, sha256: hash.digest('hex') })))
        }),
      )
      const { port } = await engineTo([origin.target], patient)
      const progress = { sent: 0 }
      const answer = new Promise<string>((resolve, reject) => {
        const req = http.request({ port, host: '127.0.0.1', method: 'POST', headers: { Host: 'app.test' }, agent: false }, (res) => {
          res.setEncoding('utf8')
          let text = ''
          res.on('data', (part: string) => {
            text += part
          })
          res.on('end', () => resolve(text))
        })
        req.on('error', reject)
        pump(req, progress)
      })
      expect(await plateau(() => progress.sent)).toBeLessThan(maxInFlight)
      arrived?.resume()
      const expected = createHash('sha256')
      for (let sent = 0; sent < total; sent += block.length) expected.update(block)
      expect(JSON.parse(await answer)).toEqual({ size: total, sha256: expected.digest('hex') })
    }, 60_000)

    test('parts of an answer and its head pass on at once, before the rest exists', async () => {
      let finish: (() => void) | undefined
      const origin = await keep(
        httpOrigin((_req, res) => {
          res.writeHead(200, { 'Content-Type': 'text/event-stream' })
          res.flushHeaders()
          finish = () => res.end()
          setTimeout(() => res.write('data: 1\n\n'), 100)
        }),
      )
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await client.read((text) => text.includes('\r\n\r\n'))
      await client.read((text) => text.includes('data: 1'))
      finish?.()
      await client.read((text) => text.endsWith('0\r\n\r\n'))
      client.destroy()
    })

    test('a client that leaves aborts the request at the instance', async () => {
      let aborted = 0
      let reached = 0
      const origin = await keep(
        httpOrigin((req, res) => {
          reached++
          res.on('close', () => {
            if (!res.writableFinished) aborted++
          })
          if (req.url === '/midway') res.write('some')
        }),
      )
      const { engine, port } = await engineTo([origin.target], patient)
      for (const path of ['/waiting', '/midway']) {
        const client = await RawClient.connect(port)
        client.write(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`)
        await until('the request is at the instance', () => engine.inFlight(['app']).app === 1 && reached === (path === '/midway' ? 2 : 1))
        client.destroy()
        await until('the instance sees the abort', () => aborted === (path === '/midway' ? 2 : 1))
        await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
      }
    })

    test('a client that leaves within its body aborts the request at the instance', async () => {
      let aborted = false
      const origin = await keep(
        httpOrigin((req) => {
          req.resume()
          req.on('error', () => {
            aborted = true
          })
        }),
      )
      const { engine, port } = await engineTo([origin.target], patient)
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nhalf')
      await until('the request is at the instance', () => engine.inFlight(['app']).app === 1 && origin.open() === 1)
      client.destroy()
      await until('the instance sees the abort', () => aborted)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
    })

    test('an answer before the end of the body reaches the client, and the connection to the instance is not reused', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'))
      const { engine, port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\nstart')
      expect(await client.read((text) => text.endsWith('big'))).toMatch(/^HTTP\/1.1 413 /)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
      await until('the instance connection is closed', () => origin.connections[0]?.closed === true)
      // The rest of the request is read and dropped for a while, then the connection is closed.
      await until('the client connection is closed', () => client.closed || client.socket.readableEnded)
      client.destroy()
      expect((await request({ port })).status).toBe(413)
      expect(origin.connections).toHaveLength(2)
    })

    const silent = (contentType: string) =>
      httpOrigin((_req, res) => {
        res.writeHead(200, { 'Content-Type': contentType })
        res.write('first ')
        setTimeout(() => res.end('later'), 1_600)
      })

    test.each(['text/event-stream', 'Text/Event-Stream; charset=utf-8'])(
      'a stream of events (%s) may be silent for longer than an instance may',
      async (type) => {
        const origin = await keep(silent(type))
        const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 300, clientIdleTimeoutMs: 300 })
        expect((await request({ port })).body.toString()).toBe('first later')
      },
    )

    test('the connection of a client that waits for events is asked whether the client is there', async () => {
      const asked = watchKeepAlive()
      const origin = await keep(silent('text/event-stream'))
      const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 300 })
      await request({ port })
      asked.restore()
      expect(asked.ports).toContain(port)
    })

    test('any other stream that is silent for too long is cut', async () => {
      const origin = await keep(silent('text/plain'))
      const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 300 })
      await expect(request({ port })).rejects.toThrow()
    })

    const limitOf = (answerTimeoutMs: number) => ({
      gate: new ScriptedGate((route) => plan({ ...route, policy: { ...defaultProjectRules, answerTimeoutMs } })),
    })

    test('a project that allows more silence than the router gets it, before and within an answer', async () => {
      const slow = httpOrigin((req, res) => void setTimeout(() => res.end('slow'), req.url === '/' ? 1_600 : 0))
      const edge = await engineTo([(await keep(slow)).target], { upstreamTimeoutMs: 300 }, limitOf(10_000))
      expect((await request(edge)).body.toString()).toBe('slow')
      const streamed = await engineTo([(await keep(silent('text/plain'))).target], { upstreamTimeoutMs: 300 }, limitOf(10_000))
      expect((await request(streamed)).body.toString()).toBe('first later')
    })

    test('a project that allows less gets that: 504 names its own limit', async () => {
      const origin = await keep(httpOrigin(() => {}))
      const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 }, limitOf(1_000))
      const answer = await request({ port })
      expect(answer.status).toBe(504)
      expect(answer.body.toString()).toMatch(/sent nothing for 1 s/)
    })
  })
}
