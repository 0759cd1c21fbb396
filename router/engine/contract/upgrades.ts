import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { httpOrigin, RawClient, rawOrigin, rawRequest, routeTo, scriptedOrigin, until } from './testing'

const handshake = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: app.test',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'X-Forwarded-For: 6.6.6.6',
  '',
  '',
].join('\r\n')

export function upgradeContract(createEngine: EngineFactory): void {
  describe('upgrades', () => {
    const { keep, engineTo, engineWith } = useEngine(createEngine)
    const echoServer = async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('plain')))
      const sockets = new WebSocketServer({ server: origin.server, maxPayload: 64 * 1024 * 1024 })
      sockets.on('connection', (socket) => socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary })))
      return { origin, sockets }
    }
    const open = (port: number) =>
      new Promise<WebSocket>((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, {
          headers: { Host: 'app.test' },
          maxPayload: 64 * 1024 * 1024,
          perMessageDeflate: false,
        })
        socket.once('open', () => resolve(socket))
        socket.once('error', reject)
      })
    const next = (socket: WebSocket) => new Promise<Buffer>((resolve) => socket.once('message', (message) => resolve(message as Buffer)))

    test('a WebSocket carries text and large binary messages both ways', async () => {
      const { origin } = await echoServer()
      const { engine, port } = await engineTo([origin.target])
      const socket = await open(port)
      expect(engine.inFlight(['app'])).toEqual({ app: 1 })
      socket.send('hello')
      expect((await next(socket)).toString()).toBe('hello')
      const large = Buffer.alloc(20 * 1024 * 1024, 5)
      socket.send(large)
      const back = await next(socket)
      expect(createHash('sha256').update(back).digest('hex')).toBe(createHash('sha256').update(large).digest('hex'))
      socket.close(4001, 'bye')
      const code = await new Promise((resolve) => socket.once('close', resolve))
      expect(code).toBe(4001)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
    })

    test('the handshake arrives whole, with the router’s own words about the client', async () => {
      const origin = await keep(
        scriptedOrigin('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst'),
      )
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(`${handshake}early`)
      await client.read((text) => text.endsWith('first'))
      await until('bytes sent with the handshake arrive', () => origin.text().endsWith('early'))
      expect(client.text()).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/)
      expect(origin.text()).toMatch(/^GET \/chat\?room=1 HTTP\/1.1\r\n/)
      expect(origin.text()).toMatch(/\r\nconnection: upgrade\r\n/i)
      expect(origin.text()).toMatch(/\r\nupgrade: websocket\r\n/i)
      expect(origin.text()).toMatch(/\r\nX-Forwarded-For: 127.0.0.1\r\n/)
      expect(origin.text()).toMatch(/\r\nHost: app.test\r\n/)
      client.destroy()
    })

    test('a client that vanishes takes its instance connection with it', async () => {
      const { origin, sockets } = await echoServer()
      const { engine, port } = await engineTo([origin.target])
      const socket = await open(port)
      socket.on('error', () => {})
      socket.terminate()
      await until('the instance sees the end', () => sockets.clients.size === 0)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
    })

    test('an instance that vanishes takes the client connection with it', async () => {
      const { origin, sockets } = await echoServer()
      const { engine, port } = await engineTo([origin.target])
      const socket = await open(port)
      socket.on('error', () => {})
      const closed = new Promise((resolve) => socket.once('close', resolve))
      for (const client of sockets.clients) client.terminate()
      expect(await closed).toBe(1006)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
    })

    test('clients of an instance that is about to stop are told to connect again (1012), behind the frame it is in the middle of', async () => {
      const { origin, sockets } = await echoServer()
      const raw = await keep(
        scriptedOrigin((_head, { socket }) => {
          socket.once('data', () => socket.write('llo'))
          return 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x05he'
        }, 'raw'),
      )
      const { engine, port } = await engineWith([routeTo('app.test', [origin.target]), routeTo('raw.test', [raw.target])])
      const socket = await open(port)
      const other = await RawClient.connect(port)
      other.write(handshake.replace('app.test', 'raw.test'))
      await other.read((text) => text.endsWith('he'))
      const answered = new Promise<number>((resolve) => {
        for (const one of sockets.clients) one.once('close', resolve)
      })
      const closed = new Promise<number>((resolve) => socket.once('close', resolve))
      expect(await engine.endTunnels(['nobody'])).toBe(0)
      expect(await engine.endTunnels(['app'])).toBe(1)
      expect(await closed).toBe(1012)
      expect(await answered).toBe(1012)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
      const ending = engine.endTunnels(['raw'])
      expect(other.text().endsWith('he')).toBe(true)
      other.write('go on')
      await other.read((text) => text.endsWith('connect again.'))
      const said = other.received.toString('latin1').split('\r\n\r\n').at(-1)
      expect(said).toBe(`\x81\x05hello\x88\x21\x03\xf4Service restart: connect again.`)
      other.socket.end()
      expect(await ending).toBe(1)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
    })

    test('WebSockets that are open at the deadline of a drain are told to connect again before they are cut', async () => {
      const { origin } = await echoServer()
      const { engine, port } = await engineTo([origin.target])
      const socket = await open(port)
      const closed = new Promise((resolve) => socket.once('close', resolve))
      expect(await engine.drain({ deadlineMs: 50, idleGraceMs: 10 })).toEqual({ cut: 1 })
      expect(await closed).toBe(1012)
    })

    test('what an instance says last reaches a slow client, also one that has said its own last byte', async () => {
      const last = Buffer.alloc(4 * 1024 * 1024 + 10_000, 'all of it ')
      const origin = await keep(
        scriptedOrigin((_head, { socket }) => {
          socket.once('end', () => socket.end(last))
          return 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'
        }),
      )
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(handshake)
      await client.read((text) => text.includes('\r\n\r\n'))
      client.received = Buffer.alloc(0)
      client.socket.on('data', () => {
        client.socket.pause()
        setTimeout(() => client.socket.resume(), 1)
      })
      client.socket.end()
      await until('the connection is over', () => client.closed || client.socket.readableEnded)
      expect(client.received.length).toBe(last.length)
    })

    test('an instance that answers in HTTP instead is passed on, body and all', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-Why: no\r\n\r\n4\r\nnope\r\n0\r\n\r\n'))
      const { engine, port } = await engineTo([origin.target])
      const text = await rawRequest(port, handshake)
      expect(text).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/)
      expect(text).toMatch(/X-Why: no/)
      expect(text).toMatch(/\r\n\r\nnope$/)
      expect(text).not.toMatch(/transfer-encoding/i)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
    })

    test('a handshake that fails gets the page of its cause', async () => {
      const silent = await keep(rawOrigin(() => {}, 'silent'))
      const reset = await keep(rawOrigin((connection) => connection.socket.destroy(), 'reset'))
      const { engine, port } = await engineWith([
        routeTo('silent.test', [silent.target]),
        routeTo('reset.test', [reset.target]),
        routeTo('empty.test', []),
      ])
      const ask = (host: string) => rawRequest(port, handshake.replace('app.test', host))
      expect(await ask('silent.test')).toMatch(/^HTTP\/1.1 504 /)
      expect(await ask('reset.test')).toMatch(/^HTTP\/1.1 502 /)
      expect(await ask('empty.test')).toMatch(/^HTTP\/1.1 503 /)
      expect(await ask('other.test')).toMatch(/^HTTP\/1.1 404 /)
      await until('nothing is in flight', () => Object.values(engine.inFlight(['silent', 'reset'])).every((count) => count === 0))
    })

    test('a client that leaves during the handshake leaves nothing behind', async () => {
      const origin = await keep(rawOrigin(() => {}))
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const client = await RawClient.connect(port)
      client.write(handshake)
      await until('the handshake is at the instance', () => origin.connections.length === 1)
      client.destroy()
      await until('the instance connection is closed', () => origin.connections[0]?.closed === true)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
    })
  })
}
