import net from 'node:net'
import type tls from 'node:tls'
import { readBuffer } from '../io/slab'

/** Receives the bytes of a socket: a view of a buffer that is reused after the call. */
export type Reader = (bytes: Buffer, size: number) => void

/** Node's internal handle of a socket. Not a documented interface, so `rewrapWorks` tests it first. */
interface WithHandle {
  _handle: object | null
}

/**
 * Together with `readSecure` the only use of Node internals. Accepted sockets do not support `onread` (outgoing ones only) and allocate a
 * buffer per read, so the handle is moved into a new socket with `onread`, which saves 5–10 % of CPU. If that does not work, sockets are
 * read by 'data' events, a little more slowly.
 */
function rewrap(accepted: net.Socket, reader: (socket: net.Socket) => Reader): net.Socket | null {
  const holder = accepted as unknown as WithHandle
  const handle = holder._handle
  if (handle === null || handle === undefined) return null
  holder._handle = null
  let read: Reader = () => {}
  const callback = (size: number) => {
    read(readBuffer, size)
    return true
  }
  const options: object = { handle, allowHalfOpen: true, onread: { buffer: readBuffer, callback } }
  const socket = new net.Socket(options)
  // Without its handle, destroying the socket closes nothing but updates the server's connection count.
  accepted.destroy()
  read = reader(socket)
  return socket
}

let works: Promise<boolean> | undefined

/** Tests a re-wrapped socket once: bytes in both directions, and its end. */
export function rewrapWorks(): Promise<boolean> {
  works ??= tryRewrap().catch(() => false)
  return works
}

function tryRewrap(): Promise<boolean> {
  return new Promise((resolve) => {
    let heard = ''
    const finish = (worked: boolean) => {
      clearTimeout(timer)
      client.destroy()
      server.close()
      resolve(worked)
    }
    const timer = setTimeout(() => finish(false), 1_000)
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      const socket = rewrap(accepted, () => (bytes, size) => {
        heard += bytes.toString('latin1', 0, size)
        socket?.write('pong')
      })
      if (socket === null) return finish(false)
      socket.on('error', () => finish(false))
      socket.on('end', () => socket.end())
      socket.resume()
    })
    const client = new net.Socket()
    let answer = ''
    client.on('data', (bytes) => {
      answer += bytes.toString()
      client.end()
    })
    client.on('error', () => finish(false))
    client.on('close', () => finish(heard === 'ping' && answer === 'pong'))
    server.on('error', () => finish(false))
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') return finish(false)
      client.connect(address.port, '127.0.0.1', () => client.write('ping'))
    })
  })
}

/**
 * Starts reading an accepted, paused socket. `begin` receives the socket to use from then on (possibly another object) and returns the
 * reader of its bytes.
 */
export function startReading(accepted: net.Socket, useRewrap: boolean, begin: (socket: net.Socket) => Reader): void {
  if (useRewrap) {
    const socket = rewrap(accepted, begin)
    if (socket !== null) return void socket.resume()
  }
  const read = begin(accepted)
  accepted.on('data', (bytes: Buffer) => read(bytes, bytes.length))
  accepted.resume()
}

/** The internal properties in which a socket stores its `onread` options. */
function onreadNames(): { buffer: symbol; callback: symbol } | null {
  const probe = new net.Socket({ onread: { buffer: readBuffer, callback: () => true } } as object)
  const names = Object.getOwnPropertySymbols(probe)
  probe.destroy()
  const buffer = names.find((name) => Reflect.get(probe, name) === readBuffer)
  const callback = names.find((name) => name.description === 'kBufferCb')
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}

let secureNames: ReturnType<typeof onreadNames> | undefined

/**
 * Starts reading a socket after its TLS handshake. TLS sockets support `onread` for outgoing connections only, so its internal properties
 * are set directly. If Node lacks them, the socket is read by 'data' events.
 * @returns whether the bytes are read into `readBuffer`.
 */
export function readSecure(socket: tls.TLSSocket, useInternals: boolean, read: Reader): boolean {
  if (secureNames === undefined) secureNames = onreadNames()
  const handle: unknown = Reflect.get(socket, '_handle')
  const takesBuffer = typeof handle === 'object' && handle !== null && typeof Reflect.get(handle, 'useUserBuffer') === 'function'
  if (!useInternals || secureNames === null || !takesBuffer || socket.readableLength > 0) {
    socket.on('data', (bytes: Buffer) => read(bytes, bytes.length))
    return false
  }
  Reflect.set(socket, secureNames.buffer, readBuffer)
  Reflect.set(socket, secureNames.callback, (size: number) => {
    read(readBuffer, size)
    return true
  })
  Reflect.get(handle, 'useUserBuffer').call(handle, readBuffer)
  socket.resume()
  return true
}
