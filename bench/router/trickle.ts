import net from 'node:net'

/**
 * A visitor who asks again and again over one connection, with a pause of a millisecond. Run as a process of its own, so that what it
 * measures is not its maker's work: argv is port and host; every message is answered with the milliseconds each answer took since the last.
 */
const [port = '', hostHeader = ''] = process.argv.slice(2)
const request = `GET / HTTP/1.1\r\nHost: ${hostHeader}\r\n\r\n`
let latencies: number[] = []
let asked = 0
let size = 0

const socket = net.connect(Number(port), '127.0.0.1', ask)

function ask() {
  asked = performance.now()
  size = 0
  socket.write(request)
}

socket.on('data', (chunk: Buffer) => {
  size += chunk.length
  // The answer is 1 KiB behind its head, and comes in one piece or two.
  if (size <= 1024) return
  latencies.push(performance.now() - asked)
  setTimeout(ask, 1)
})
process.on('message', () => {
  process.send?.(latencies)
  latencies = []
})
process.on('disconnect', () => process.exit(0))
