import type net from 'node:net'
import tls from 'node:tls'

/** The raw socket under a TLS one, by which what was said before the handshake is found again. */
export function rawOf(socket: tls.TLSSocket): net.Socket | null {
  const parent: unknown = Reflect.get(socket, '_parent')
  return parent !== null && typeof parent === 'object' && 'resetAndDestroy' in parent ? (parent as net.Socket) : null
}

/**
 * Ends a connection whose client takes nothing, by a reset. Closed in the ordinary way, what the system holds for it, up to megabytes,
 * would be kept for minutes in case the client comes to want it; thousands of these use up what the system has for all connections.
 */
export function cut(socket: net.Socket): void {
  const raw = socket instanceof tls.TLSSocket ? rawOf(socket) : socket
  if (raw !== null && !raw.destroyed) raw.resetAndDestroy()
  socket.destroy()
}
