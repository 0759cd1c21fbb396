import type net from 'node:net'
import tls from 'node:tls'

/** The raw socket under a TLS socket: the key for data from before the handshake (PROXY protocol). */
export function rawOf(socket: tls.TLSSocket): net.Socket | null {
  const parent: unknown = Reflect.get(socket, '_parent')
  return parent !== null && typeof parent === 'object' && 'resetAndDestroy' in parent ? (parent as net.Socket) : null
}

/**
 * Resets a connection whose client does not read. After an ordinary close the kernel keeps the unsent bytes, up to megabytes, for minutes;
 * thousands of such connections would use up the memory for all connections.
 */
export function cut(socket: net.Socket): void {
  const raw = socket instanceof tls.TLSSocket ? rawOf(socket) : socket
  if (raw !== null && !raw.destroyed) raw.resetAndDestroy()
  socket.destroy()
}
