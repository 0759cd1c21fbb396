import net, { type AddressInfo } from 'node:net'
import tls from 'node:tls'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { shakeHands, testAuthority, testTls } from '../../tls/testing'
import { hostTable, openServices, quietLog, RawClient, routeTo, scriptedOrigin, testLimits, until } from '../contract/testing'
import { Clock } from '../io/clock'
import { createLeanEngine } from '../lean'
import { Handshakes, type HandshakesOptions, isWholeHello } from './handshakes'

const clients: RawClient[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})
const connect = async (port: number) => {
  const client = await RawClient.connect(port)
  clients.push(client)
  return client
}

async function listening(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, onConnection)
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** What a client says first. */
async function recordHello(): Promise<Buffer> {
  let hello = Buffer.alloc(0)
  const port = await listening((socket) => {
    socket.on('data', (bytes: Buffer) => {
      hello = Buffer.concat([hello, bytes])
    })
    socket.resume()
  })
  const client = tls.connect({ port, host: '127.0.0.1', servername: 'app.test', ALPNProtocols: ['h2'] })
  client.on('error', () => {})
  onTestFinished(() => void client.destroy())
  await until('it is here', () => hello.length > 0 && hello.length === 5 + hello.readUInt16BE(3))
  return hello
}

test('a ClientHello is whole with its last byte, in however many records; what is none is passed on', async () => {
  const hello = await recordHello()
  for (let length = 0; length < hello.length; length++) expect(isWholeHello(hello.subarray(0, length))).toBe(false)
  expect(isWholeHello(hello)).toBe(true)
  const message = hello.subarray(5)
  const record = (part: Buffer) => Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part])
  const split = Buffer.concat([record(message.subarray(0, 40)), record(message.subarray(40, 41)), record(message.subarray(41))])
  for (let length = 0; length < split.length; length++) expect(isWholeHello(split.subarray(0, length))).toBe(false)
  expect(isWholeHello(split)).toBe(true)
  for (const none of ['GET / HTTP/1.1\r\n', '\x16\x03\x01\xff\xff', '\x16\x03\x01\x00\x02\x01\x00', '\x15\x03\x01\x00\x02\x01\x00'])
    expect(isWholeHello(Buffer.from(none, 'latin1'))).toBe(true)
  expect(isWholeHello(Buffer.concat([hello.subarray(0, 5), Buffer.from([1, 0xff, 0xff, 0xff]), Buffer.alloc(70_000)]))).toBe(true)
})

/** Handshakes that are begun and never end by themselves. */
async function crowd(options: Partial<HandshakesOptions>) {
  const started: net.Socket[] = []
  const clock = new Clock(() => {
    for (const _ of handshakes.watch());
  })
  onTestFinished(() => clock.stop())
  const start = (socket: net.Socket) => void started.push(socket)
  const handshakes = new Handshakes({ clock, deadlineMs: 60_000, start, oneLess: () => {}, ...options })
  onTestFinished(() => handshakes.close())
  const sockets: net.Socket[] = []
  const port = await listening((socket) => {
    sockets.push(socket)
    handshakes.enter(socket)
  })
  /** A client that says `bytes`, once the router has it. */
  const come = async (bytes: Buffer) => {
    const before = sockets.length
    const client = await connect(port)
    await until('it is accepted', () => sockets.length > before)
    client.write(bytes)
    return { client, socket: sockets[before] as net.Socket }
  }
  return { handshakes, started, come }
}

test('in a crowd a handshake begins with a whole hello; of those that wait the newest is next, with every byte it said', async () => {
  const hello = await recordHello()
  const { handshakes, started, come } = await crowd({ calm: 1, most: 2 })
  const silent = await come(Buffer.alloc(0))
  expect(started).toEqual([silent.socket])
  const half = await come(hello.subarray(0, 100))
  const whole = await come(hello)
  await until('a whole hello begins', () => started.length === 2)
  const older = await come(hello)
  await until('it was read', () => older.socket.bytesRead === hello.length)
  const newer = await come(hello)
  await until('it was read', () => newer.socket.bytesRead === hello.length)
  expect(started).toEqual([silent.socket, whole.socket])
  handshakes.done(whole.socket)
  await until('a place is taken', () => started.length === 3)
  expect(started[2]).toBe(newer.socket)
  expect(newer.socket.read()).toEqual(hello)
  newer.client.destroy()
  newer.socket.resume()
  newer.socket.end()
  await until('the older one comes after it', () => started.length === 4)
  expect(started[3]).toBe(older.socket)
  expect(half.socket.bytesRead).toBe(100)
  expect(handshakes.size).toBe(3)
})

test('places that come free all at once are taken a few at a time', async () => {
  const hello = await recordHello()
  const { handshakes, started, come } = await crowd({ calm: 0, most: 40 })
  const sockets: net.Socket[] = []
  while (sockets.length < 100) sockets.push((await come(hello)).socket)
  await until('they were read', () => sockets.slice(40).every((socket) => socket.bytesRead === hello.length))
  expect(started).toEqual(sockets.slice(0, 40))
  for (const socket of started.slice()) socket.destroy()
  await until('some begin', () => started.length > 40)
  expect(started.length).toBeLessThan(80)
  await until('the places are taken', () => started.length === 80)
  expect(handshakes.size).toBe(60)
})

test('whoever leaves, or does not come to an end in time, is forgotten', async () => {
  const hello = await recordHello()
  const { handshakes, come } = await crowd({ calm: 0, most: 1, deadlineMs: 1_500 })
  await come(hello)
  const others = [await come(hello), await come(Buffer.alloc(0)), await come(hello.subarray(0, 50))]
  expect(handshakes.size).toBe(4)
  for (const { client } of others) client.socket.end()
  await until('those that left are gone', () => handshakes.size === 1)
  await until('time is over', () => handshakes.size === 0)
})

async function secureEngine(limits: Partial<typeof testLimits>) {
  const authority = await testAuthority()
  const origin = await scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const edge = await testTls({ certificates: [await authority.issue(['app.test'])] })
  const table = hostTable([routeTo('app.test', [origin.target])])
  const engine = createLeanEngine({ limits: { ...testLimits, ...limits }, table, log: quietLog, ...openServices(table) })
  onTestFinished(async () => {
    await engine.close()
    await edge.close()
    await origin.close()
  })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, tls: edge.edge })
  return { port, ca: authority.certificatePem }
}

test('a client that ends within its handshake is let go at once', async () => {
  const hello = await recordHello()
  const { port } = await secureEngine({ clientHeadTimeoutMs: 60_000 })
  for (const said of [Buffer.alloc(0), hello.subarray(0, 100), hello]) {
    const client = await connect(port)
    client.write(said)
    if (said === hello) await until('the answer', () => client.received.length > 0)
    client.socket.end()
    await until('it is closed', () => client.closed)
  }
})

test('a stalled handshake ends after its time; a connection that is through outlives it', async () => {
  const { port, ca } = await secureEngine({ clientHeadTimeoutMs: 600, keepAliveMs: 60_000 })
  const { socket } = await shakeHands(port, 'app.test', { ca })
  let answer = ''
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString()
  })
  onTestFinished(() => void socket.destroy())
  const stalled = await connect(port)
  await until('it is closed', () => stalled.closed || stalled.socket.readableEnded)
  socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  await until('the answer', () => answer.endsWith('ok'))
})

test('a crowd of stalled handshakes beyond what is held in OpenSSL keeps nobody else from one', async () => {
  const hello = await recordHello()
  const { port, ca } = await secureEngine({ clientHeadTimeoutMs: 60_000 })
  const stalled = await Promise.all(Array.from({ length: 400 }, () => connect(port)))
  for (const client of stalled) client.write(hello.subarray(0, 200))
  for (let i = 0; i < 5; i++) {
    const { socket, protocol } = await shakeHands(port, 'app.test', { ca })
    expect(protocol).toBe('TLSv1.3')
    const answered = new Promise<string>((resolve) => socket.once('data', (bytes: Buffer) => resolve(bytes.toString())))
    socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    expect(await answered).toMatch(/ok$/)
    socket.destroy()
  }
})
