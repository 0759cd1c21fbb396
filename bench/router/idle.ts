import net from 'node:net'

/** Opens `count` connections that each made one request, and keeps them. Run as a process of its own: argv is port, count, host. */
const [port = 0, count = 0, hostHeader = ''] = process.argv.slice(2).map((value, i) => (i < 2 ? Number(value) : value)) as [number, number, string]

function open(): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET / HTTP/1.1\r\nHost: ${hostHeader}\r\n\r\n`))
    socket.once('error', reject)
    socket.once('data', () => resolve(socket))
  })
}

const sockets: net.Socket[] = []
for (let i = 0; i < count; i += 100) sockets.push(...(await Promise.all(Array.from({ length: Math.min(100, count - i) }, open))))
for (const socket of sockets) socket.on('data', () => {})
process.stdout.write(`open ${sockets.length}\n`)
setInterval(() => {}, 60_000)
