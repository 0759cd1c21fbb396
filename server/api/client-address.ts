import type { IncomingMessage } from 'node:http'

const header = 'x-switchyard-client-address'

/**
 * Tells the API who is at the other end of the connection. The HTTP server calls this for every request before Next sees it:
 * a header of this name from outside is overwritten, so that nobody chooses the address their attempts are counted under.
 */
export function markClientAddress(request: IncomingMessage): void {
  request.headers[header] = request.socket.remoteAddress ?? 'unknown'
}

export const clientAddress = (headers: Headers): string => headers.get(header) ?? 'unknown'
