import http2 from 'node:http2'
import net, { type AddressInfo, type Socket } from 'node:net'
import { hostTable, httpOrigin, openServices, quietLog, routeTo, testLimits } from '@/router/engine/contract/testing'
import { encodeField, encodeStatus } from '@/router/engine/http2/hpack/encoder'
import { Session, type SessionHost } from '@/router/engine/http2/session'
import { createLeanEngine } from '@/router/engine/lean'

export interface Server {
  port: number
  close(): Promise<void>
}

const body = Buffer.from('hello, world!')
const head = [encodeStatus(200), encodeField('content-type', 'text/plain')]

/** Our session alone, answering by itself: what it does with frames, whatever is behind it. */
export async function sessionServer(limits = testLimits): Promise<Server & { sessions: Set<Session> }> {
  const sessions = new Set<Session>()
  const host: SessionHost = {
    limits,
    suspect: false,
    onFlood: () => {},
    onRequest: (stream, { method }) => {
      stream.taker = {
        takeBody: () => true,
        takeEnd: () => {
          stream.respond(head, method === 'HEAD')
          if (method !== 'HEAD') stream.write(body, 0, body.length, true)
        },
        onAbort: () => {},
        onSent: () => {},
        onSilence: () => stream.reset(),
      }
    },
    onClosed: (session) => sessions.delete(session),
  }
  const server = net.createServer({ noDelay: true }, (socket) => {
    const session = new Session(socket, host)
    sessions.add(session)
    socket.on('data', (chunk: Buffer) => session.receive(chunk))
  })
  return { sessions, ...(await listening(server, () => [...sessions].map(({ socket }) => socket))) }
}

/** The whole lean engine in front of an instance, HTTP/2 by prior knowledge. */
export async function engineServer(): Promise<Server> {
  const origin = await httpOrigin((req, res) => {
    req.resume()
    req.on('end', () => res.end('hello, world!'))
  })
  const table = hostTable([routeTo('app.test', [origin.target])])
  const engine = createLeanEngine({ limits: testLimits, table, log: quietLog, ...openServices(table) })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
  return {
    port,
    close: async () => {
      await engine.close()
      await origin.close()
    },
  }
}

/** Node's own server, on nghttp2. */
export async function nodeServer(): Promise<Server> {
  const sockets = new Set<Socket>()
  const server = http2.createServer({ settings: { maxConcurrentStreams: 100 } })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    stream.on('end', () => {
      if (stream.destroyed || stream.closed) return
      stream.respond({ ':status': 200, 'content-type': 'text/plain' })
      stream.end(headers[':method'] === 'HEAD' ? undefined : body)
    })
    stream.resume()
  })
  return listening(server, () => [...sockets])
}

async function listening(server: net.Server | http2.Http2Server, open: () => Socket[]): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open()) socket.destroy()
      await closed
    },
  }
}
