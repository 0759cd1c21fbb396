import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import type { Observer } from '../../observe/observer'
import { useEngine } from '../contract/harness'
import { CountingObserver, RecordingTargets } from '../contract/scripted'
import { rawOrigin, until } from '../contract/testing'
import { createLeanEngine } from '../lean'

const acceptOf = (head: string) => {
  const key = /\r\nSec-WebSocket-Key: (\S+)\r\n/.exec(head)?.[1]
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
const switching = (head: string, more = '') =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(head)}\r\n${more}\r\n`

describe('WebSockets over HTTP/2 (RFC 8441)', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const sessions: http2.ClientHttp2Session[] = []
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy()
  })
  /** An instance that answers a handshake as told, then sends back every byte. */
  const echoing = (answer: (head: string) => string = switching) =>
    keep(
      rawOrigin((connection) => {
        const text = connection.bytes.toString('latin1')
        const end = text.indexOf('\r\n\r\n') + 4
        if (end < 4) return
        const { socket } = connection
        socket.removeAllListeners('data')
        socket.write(answer(text.slice(0, end)))
        if (connection.bytes.length > end) socket.write(connection.bytes.subarray(end))
        socket.on('data', (chunk) => {
          connection.bytes = Buffer.concat([connection.bytes, chunk])
          socket.write(chunk)
        })
      }),
    )
  const connect = async (port: number) => {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    sessions.push(session)
    const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings]
    expect(settings.enableConnectProtocol).toBe(true)
    return session
  }
  const open = async (port: number, headers: http2.OutgoingHttpHeaders = {}) => {
    const session = await connect(port)
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':authority': 'app.test', ':path': '/chat?room=1', ...headers })
    const seen = { status: 0, headers: {} as http2.IncomingHttpHeaders, bytes: Buffer.alloc(0), ended: false, closed: false, code: -1 }
    stream.on('response', (received) => Object.assign(seen, { status: received[':status'], headers: received }))
    stream.on('data', (chunk: Buffer) => {
      seen.bytes = Buffer.concat([seen.bytes, chunk])
    })
    stream.on('end', () => {
      seen.ended = true
    })
    stream.on('error', () => {})
    stream.on('close', () => Object.assign(seen, { closed: true, code: stream.rstCode }))
    return { stream, seen }
  }

  test('become a handshake of HTTP/1.1 and a 200, and carry bytes both ways', async () => {
    const origin = await echoing((head) => switching(head, 'Sec-WebSocket-Protocol: chat\r\nX-From: app\r\n'))
    const told: string[] = []
    const observer: Observer = {
      end: (request) => void told.push(`${request.describe().method} ${request.describe().protocol} ${request.status}`),
      close: async () => {},
    }
    const { port } = await engineTo([origin.target], {}, { observer })
    const { stream, seen } = await open(port, {
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
      'sec-websocket-key': 'mine',
      origin: 'https://app.test',
      cookie: ['a=1', 'b=2'],
    })
    await until('the handshake is answered', () => seen.status !== 0)
    expect(seen.status).toBe(200)
    expect(seen.headers).toMatchObject({ 'sec-websocket-protocol': 'chat', 'x-from': 'app' })
    for (const name of ['connection', 'upgrade', 'sec-websocket-accept', 'content-length']) expect(seen.headers[name]).toBeUndefined()
    const head = origin.text()
    expect(head).toMatch(/^GET \/chat\?room=1 HTTP\/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/)
    expect(head).toMatch(/\r\nsec-websocket-version: 13\r\n/)
    expect(head).toMatch(/\r\norigin: https:\/\/app.test\r\n/)
    expect(head).toMatch(/\r\ncookie: a=1; b=2\r\n/)
    expect(head).toMatch(/\r\nX-Forwarded-For: 127.0.0.1\r\n/)
    expect(head).not.toMatch(/mine|transfer-encoding|content-length|:protocol/i)
    const message = Buffer.alloc(3_000_000, 'frame of a socket ')
    stream.write(message)
    await until('all of it comes back', () => seen.bytes.length === message.length)
    expect(seen.bytes.equals(message)).toBe(true)
    stream.end()
    await until('the end comes back, too', () => seen.ended && origin.connections.every(({ closed }) => closed))
    await until('it is told', () => told.length > 0)
    expect(told).toEqual(['GET websocket 101'])
  })

  test('bytes that come before the instance has answered reach it after that', async () => {
    let answer = () => {}
    const origin = await keep(
      rawOrigin((connection) => {
        const text = connection.bytes.toString('latin1')
        answer = () => void connection.socket.write(switching(text))
      }),
    )
    const { port } = await engineTo([origin.target])
    const { stream, seen } = await open(port)
    stream.write('early')
    await until('the handshake is there', () => origin.text().includes('\r\n\r\n'))
    expect(origin.text().endsWith('\r\n\r\n')).toBe(true)
    answer()
    await until('the bytes follow', () => origin.text().endsWith('\r\n\r\nearly'))
    expect(seen.status).toBe(200)
  })

  test('an instance that answers in HTTP instead is passed on', async () => {
    const origin = await echoing(() => 'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope')
    const { port } = await engineTo([origin.target])
    const { seen } = await open(port)
    await until('it ends', () => seen.closed)
    expect([seen.status, seen.bytes.toString(), seen.ended]).toEqual([403, 'nope', true])
  })

  test('an instance that has not understood the handshake is not believed', async () => {
    const origin = await echoing((head) => switching(head).replace(/Accept: ./, 'Accept: -'))
    const told = { targets: new RecordingTargets(), observer: new CountingObserver() }
    const { port } = await engineTo([origin.target], {}, told)
    const { seen } = await open(port)
    await until('it is over', () => seen.closed)
    expect([seen.status, seen.ended]).toEqual([502, true])
    expect(told.observer.ends).toMatchObject([{ status: 502, reason: 'bad-answer' }])
    expect(told.targets.outcomes).toEqual([{ kind: 'fault', fault: 'bad-answer' }])
    await until('the instance is let go', () => origin.connections.every(({ closed }) => closed))
  })

  test('a client that resets the stream, and an instance that ends, take the other side with them; the neighbours go on', async () => {
    const origin = await echoing()
    const { port } = await engineTo([origin.target])
    const one = await open(port)
    const other = await open(port)
    await until('both are open', () => one.seen.status === 200 && other.seen.status === 200)
    one.stream.close(http2.constants.NGHTTP2_CANCEL)
    await until('one connection to the instance is gone', () => origin.connections.filter(({ closed }) => closed).length === 1)
    other.stream.write('still')
    await until('the other goes on', () => other.seen.bytes.toString() === 'still')
    for (const { socket } of origin.connections) socket.end('bye')
    await until('the end arrives', () => other.seen.ended)
    expect(other.seen.bytes.toString()).toBe('stillbye')
  })

  test('the cookie of a sticky target is added to the 200', async () => {
    const origin = await echoing()
    const targets = new RecordingTargets()
    targets.setCookie = 'stick=app; Path=/'
    const { port } = await engineTo([origin.target], {}, { targets })
    const { seen } = await open(port)
    await until('it is open', () => seen.status === 200)
    expect(seen.headers['set-cookie']).toEqual(['stick=app; Path=/'])
  })

  test('nothing else is opened by CONNECT', async () => {
    const origin = await echoing()
    const { port } = await engineTo([origin.target])
    const { seen } = await open(port, { ':protocol': 'connect-udp' })
    await until('it is refused', () => seen.closed)
    expect(seen.status).toBe(501)
    const session = await connect(port)
    const plain = session.request({ ':method': 'CONNECT', ':authority': 'app.test:443' })
    const [answer] = (await once(plain, 'response')) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
    expect(answer[':status']).toBe(405)
    expect(origin.connections).toHaveLength(0)
  })
})
