import { createHash } from 'node:crypto'
import http2 from 'node:http2'
import net from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { LocalAnswer } from '../../gate/gate'
import { useEngine } from '../contract/harness'
import { CountingObserver, RecordingTargets, ScriptedGate } from '../contract/scripted'
import { httpOrigin, RawClient, scriptedOrigin, until } from '../contract/testing'
import { createLeanEngine } from '../lean'

describe('HTTP/2 streams that wait', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const sessions: http2.ClientHttp2Session[] = []
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy()
  })
  const connect = (port: number, settings: http2.Settings = {}) => {
    const session = http2.connect(`http://127.0.0.1:${port}`, { settings })
    session.on('error', () => {})
    sessions.push(session)
    return session
  }
  const ask = (session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}) => {
    const stream = session.request({ ':authority': 'app.test', ':path': '/', ...headers })
    const seen = { status: 0, bytes: 0, code: -1, closed: false }
    stream.on('response', (received) => {
      seen.status = received[':status'] ?? 0
    })
    stream.on('data', (chunk: Buffer) => {
      seen.bytes += chunk.length
    })
    stream.on('error', () => {})
    stream.on('close', () => Object.assign(seen, { closed: true, code: stream.rstCode }))
    return { stream, seen }
  }
  const local = (body: LocalAnswer['body']): LocalAnswer => ({ status: 200, headers: [], body, cache: 'none', why: null })

  test('what a client takes slowly is counted whole: answers of ours and of an instance', async () => {
    const large = Buffer.alloc(1_000_000, 'x')
    const observer = new CountingObserver()
    const gate = new ScriptedGate(() => ({ kind: 'answer', answer: local(large) }))
    const own = await engineTo([], {}, { gate, observer })
    const session = connect(own.port, { initialWindowSize: 20_000 })
    const { seen } = ask(session)
    await until('the answer is whole', () => seen.closed)
    expect(seen.bytes).toBe(large.length)
    expect(observer.ends[0]?.bytesOut).toBeGreaterThanOrEqual(large.length)

    const origin = await keep(httpOrigin((_req, res) => void res.end(large)))
    const theirs = await engineTo([origin.target], {}, { observer })
    const forwarded = ask(connect(theirs.port, { initialWindowSize: 20_000 }))
    await until('the answer is whole', () => forwarded.seen.closed)
    await until('it is counted', () => observer.ends.length === 2)
    expect(observer.ends[1]?.bytesOut).toBeGreaterThanOrEqual(large.length)
  })

  test('clients that take nothing share one copy of what the router holds anyway', async () => {
    const large = Buffer.alloc(2_000_000, 'x')
    const gate = new ScriptedGate(() => ({ kind: 'answer', answer: local(large) }))
    // 200 MB over one connection take a slow machine seconds: a stream that waits for its turn is not idle for too long.
    const { port } = await engineTo([], { clientIdleTimeoutMs: 60_000 }, { gate })
    const session = connect(port, { initialWindowSize: 0 })
    await new Promise((resolve) => session.once('remoteSettings', resolve))
    const before = process.memoryUsage().arrayBuffers
    const all = Array.from({ length: 100 }, () => ask(session).seen)
    await until('all have their heads', () => all.every(({ status }) => status === 200))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000)
    session.settings({ initialWindowSize: 4_000_000 })
    session.setLocalWindowSize(64_000_000)
    await until('all have it all', () => all.every(({ closed, bytes }) => closed && bytes === large.length))
  })

  test.each(['CONNECT', 'GET'])('a %s whose client may be quiet for hours: whether it is still there is for the kernel to ask', async (method) => {
    const asked = vi.spyOn(net.Socket.prototype, 'setKeepAlive')
    const origin = await keep(
      scriptedOrigin((head) => {
        const accept = createHash('sha1')
          .update(`${/sec-websocket-key: (\S+)/i.exec(head)?.[1]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64')
        return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
      }),
    )
    const { port } = await engineTo([origin.target])
    if (method === 'CONNECT') {
      const session = connect(port)
      await new Promise((resolve) => session.once('remoteSettings', resolve))
      const { seen } = ask(session, { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat' })
      await until('it is open', () => seen.status === 200)
    } else {
      const client = await RawClient.connect(port)
      client.write(
        'GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      await client.read((text) => text.includes('\r\n\r\n'))
      client.destroy()
    }
    expect(asked.mock.calls).toEqual([
      [true, 30_000],
      [true, 30_000],
    ])
    expect(asked.mock.contexts.filter((socket) => (socket as net.Socket).remotePort === origin.port)).toHaveLength(1)
    asked.mockRestore()
  })

  test('a connection that comes to HTTP/2 within a drain is told of it, and ends with its answers', async () => {
    const origin = await keep(httpOrigin((_req, res) => void res.end('whole')))
    const { engine, port } = await engineTo([origin.target])
    const { socket } = await RawClient.connect(port)
    socket.removeAllListeners('data')
    const began = Date.now()
    const drained = engine.drain({ deadlineMs: 8_000, idleGraceMs: 300 })
    const session = http2.connect('http://app.test', { createConnection: () => socket })
    session.on('error', () => {})
    sessions.push(session)
    let goaway = false
    session.on('goaway', () => {
      goaway = true
    })
    const { seen } = ask(session)
    await until('it is answered', () => seen.closed)
    expect([seen.status, seen.bytes]).toEqual([200, 5])
    expect(await drained).toEqual({ cut: 0 })
    expect([goaway, Date.now() - began < 4_000]).toEqual([true, true])
  })

  test('an answer whose body closes before its end is reset: its client is not kept waiting', async () => {
    const body = { length: null, open: () => new Readable({ read: () => {} }) }
    let source: Readable | undefined
    const gate = new ScriptedGate(() => ({
      kind: 'answer',
      answer: local({
        ...body,
        open: () => {
          source = body.open()
          source.push('half')
          return source
        },
      }),
    }))
    const observer = new CountingObserver()
    const { port } = await engineTo([], {}, { gate, observer })
    const { seen } = ask(connect(port))
    await until('half of it is here', () => seen.bytes === 4)
    source?.destroy()
    await until('the stream is over', () => seen.closed, 2_000)
    expect(seen.code).not.toBe(0)
    await until('it is counted', () => observer.ends.length === 1)
  })

  test('a WebSocket may wait for its instance longer than a client may be silent within a body', async () => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nlate'))
    const targets = new RecordingTargets()
    targets.hold = true
    const { port } = await engineTo([origin.target], { clientIdleTimeoutMs: 200 }, { targets })
    const session = connect(port)
    await new Promise((resolve) => session.once('remoteSettings', resolve))
    const { seen } = ask(session, { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat' })
    await until('it waits for a target', () => targets.waiting.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(seen.status).toBe(0)
    targets.waiting[0]?.let()
    await until('it is answered', () => seen.closed)
    expect([seen.status, seen.bytes]).toEqual([403, 4])
  })
})
