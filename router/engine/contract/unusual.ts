import net from 'node:net'
import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { maxInterimBytes } from '../upstream/faults'
import { useEngine } from './harness'
import { localAnswer, ScriptedGate } from './scripted'
import { RawClient, rawOrigin, rawRequest, scriptedOrigin, until } from './testing'

const host = 'Host: app.test\r\n'
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Invalid requests, each with its expected status. */
const faults: [string, number, string][] = [
  ['a method nobody knows', 501, `BREW / HTTP/1.1\r\n${host}\r\n`],
  ['a method longer than any', 501, `${'A'.repeat(60)} / HTTP/1.1\r\n${host}\r\n`],
  ['a method in lower case', 501, `get / HTTP/1.1\r\n${host}\r\n`],
  ['a target without end', 414, `GET /${'a'.repeat(20_000)}`],
  ['a target longer than a head may be', 414, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`],
  ['a header line without end', 431, `GET / HTTP/1.1\r\n${host}X: ${'a'.repeat(20_000)}`],
  ['a version to come', 505, `GET / HTTP/2.0\r\n${host}\r\n`],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['more expectations than one', 417, `GET / HTTP/1.1\r\n${host}Expect: 100-continue, gifts\r\n\r\n`],
]

/** Reads slowly until `bytes` have arrived; resolves with the number of bytes. */
async function readSlowly(socket: net.Socket, bytes: number, onFirst: () => void): Promise<number> {
  let got = 0
  for await (const chunk of socket) {
    if (got === 0) onFirst()
    got += (chunk as Buffer).length
    if (got >= bytes) break
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
  return got
}

export function unusualContract(createEngine: EngineFactory): void {
  describe('unusual clients and instances', () => {
    const { keep, engineTo } = useEngine(createEngine)

    test.each(faults)('%s is answered with %i and a request id', async (_what, status, bytes) => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, bytes)
      expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      expect(text).toMatch(/\r\nX-Request-Id: \S+\r\n/i)
      expect(text).toMatch(/\r\nConnection: close\r\n/i)
      expect(origin.text()).toBe('')
    })

    test('nothing that follows a refused request reaches an instance; what came before it is answered', async () => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      const bytes = `GET /1 HTTP/1.1\r\n${host}\r\nGET /2 HTTP/1.1\r\nHost: a b\r\n\r\nPOST /3 HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`
      const text = await rawRequest(port, bytes)
      expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '400'])
      expect(origin.text()).toContain('GET /1 ')
      expect(origin.text()).not.toContain('/3 ')
    })

    test('bytes that are no request, behind one that waits for its answer, are answered in their turn', async () => {
      const origin = await keep(rawOrigin(() => {}))
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(`GET /1 HTTP/1.1\r\n${host}\r\nthis is no request\r\n\r\n`)
      await until('the instance has the first', () => origin.text().includes('\r\n\r\n'))
      origin.connections[0]?.socket.write(ok)
      expect([...(await client.read()).matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '400'])
      client.destroy()
    })

    test('chunks that cannot be read are answered with 400 while no answer has begun', async () => {
      const origin = await keep(rawOrigin(() => {}))
      const { engine, port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`)
      await until('the instance has a chunk', () => origin.text().includes('ab'))
      client.write('zz\r\n')
      expect(await client.read()).toMatch(/^HTTP\/1\.1 400 /)
      client.destroy()
      await until('the instance connection is closed', () => origin.connections.every((connection) => connection.closed))
      expect(engine.inFlight(['raw']).raw).toBe(0)
    })

    test('a request that was answered before its body broke has no second answer', async () => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n`)
      await client.read((text) => text.endsWith('ok'))
      client.write(`zz\r\nGET / HTTP/1.1\r\n${host}\r\n`)
      expect((await client.read()).match(/HTTP\/1\.1/g)).toHaveLength(1)
      client.destroy()
    })

    test('two Upgrade lines are no WebSocket handshake, in either order', async () => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      for (const [one, other] of [
        ['h2c', 'websocket'],
        ['websocket', 'h2c'],
      ]) {
        const lines = `Connection: Upgrade\r\nUpgrade: ${one}\r\nUpgrade: ${other}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`
        await rawRequest(port, `GET / HTTP/1.1\r\n${host}${lines}\r\n`, (text) => text.endsWith('ok'))
      }
      expect(origin.text()).not.toMatch(/upgrade:/i)
    })

    test('bytes beyond ASCII in an answer pass on as they came', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nX-Name: caf\xe9 \xc3\xa9\r\nContent-Length: 2\r\n\r\nok'))
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
      expect(text).toContain('\r\nX-Name: caf\xe9 \xc3\xa9\r\n')
    })

    test('interim answers without end are held neither for a client that reads nothing nor for ever: 502', async () => {
      const hint = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(1_000)}>; rel=preload\r\n\r\n`
      const origin = await keep(
        rawOrigin(({ socket }) => {
          const more = () => {
            while (!socket.destroyed && socket.write(hint));
            if (!socket.destroyed) socket.once('drain', more)
          }
          more()
        }),
      )
      const { engine, port } = await engineTo([origin.target])
      const text = await rawRequest(port, `GET / HTTP/1.1\r\n${host}\r\n`, (bytes) => bytes.includes('HTTP/1.1 502 '))
      expect(text.length).toBeLessThan(maxInterimBytes + 4_096)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
    })

    test.each([
      ['asked for the connection to end', 'Connection: close\r\n', false],
      ['half-closes while it reads', 'Connection: close\r\n', true],
      ['asked for a WebSocket and gets none', 'Connection: Upgrade\r\nUpgrade: websocket\r\n', false],
    ])('a slow client that %s gets the whole of a large answer of ours', async (_what, line, halfCloses) => {
      const body = 'x'.repeat(12_000_000)
      const gate = new ScriptedGate(() => ({ kind: 'answer', answer: localAnswer(200, body) }))
      const { port } = await engineTo([], { lingerMs: 50 }, { gate })
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.write(`GET / HTTP/1.1\r\n${host}${line}\r\n`)
      const got = await readSlowly(socket, body.length, () => halfCloses && socket.end())
      socket.destroy()
      expect(got).toBeGreaterThanOrEqual(body.length)
    })
  })
}
