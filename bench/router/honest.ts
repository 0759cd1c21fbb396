import net from 'node:net'
import tls from 'node:tls'

/**
 * Visitors who come once, in a process of their own: argv is `http` or `https`, a port, how many a second, for how many seconds. Each
 * opens a connection, asks, and reads its answer to the last byte. Prints JSON: how many came, what went wrong with those that did not get
 * exactly what the app says, and for the others the time in ms from the first packet to the last byte.
 */
const [scheme = '', portText = '', rateText = '', secondsText = ''] = process.argv.slice(2)
const options = { port: Number(portText), host: '127.0.0.1' }
const patienceMs = 10_000
const body = 'x'.repeat(1024)
const times: number[] = []
const wrong: Record<string, number> = {}

function visit(): Promise<void> {
  return new Promise((resolve) => {
    const begun = performance.now()
    const ask = () => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    // A cheap key exchange: what is measured is not the visitor's own work.
    const secure = { ...options, ecdhCurve: 'X25519', servername: 'localhost', ALPNProtocols: ['http/1.1'], rejectUnauthorized: false }
    const socket = scheme === 'https' ? tls.connect(secure, ask) : net.connect(options, ask)
    let answer = ''
    const settle = (fault: string | null) => {
      clearTimeout(timer)
      socket.destroy()
      if (fault === null) times.push(performance.now() - begun)
      else wrong[fault] = (wrong[fault] ?? 0) + 1
      resolve()
    }
    const timer = setTimeout(() => settle('no answer in time'), patienceMs)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message))
    socket.on('end', () => {
      const status = answer.slice(9, 12)
      settle(status !== '200' ? `status ${status}` : answer.endsWith(`\r\n\r\n${body}`) ? null : 'not what the app said')
    })
  })
}

// The first visits compile the program.
await Promise.all(Array.from({ length: 20 }, visit))
times.length = 0
const rate = Number(rateText)
const came = rate * Number(secondsText)
const begun = performance.now()
const visits: Promise<void>[] = []
for (let i = 0; i < came; i++) {
  const wait = begun + (i * 1000) / rate - performance.now()
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
  visits.push(visit())
}
await Promise.all(visits)
process.stdout.write(`${JSON.stringify({ came, wrong, times: times.map((ms) => Math.round(ms * 1000) / 1000) })}\n`)
