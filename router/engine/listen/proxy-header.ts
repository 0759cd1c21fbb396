import net from 'node:net'

/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.8/doc/proxy-protocol.txt): a balancer first sends the client address of the
 * connection that it forwards. Parsed strictly, because the header determines the client address that rules see.
 */
export interface ProxySource {
  /** IP literal of the visitor. */
  ip: string
  port: number
  /** Port that the visitor connected to. */
  destinationPort: number
}

export type ProxyHeader =
  | { state: 'incomplete' }
  | { state: 'invalid'; reason: string }
  /** `length` bytes belong to the header; null: the connection is the balancer's own (LOCAL, UNKNOWN, UNIX). */
  | { state: 'complete'; length: number; source: ProxySource | null }

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** §2.1: the longest line of version 1, CRLF included. */
const maxLineBytes = 107
/** Limit for addresses and TLVs; senders use a few hundred bytes, the field allows 65,535. */
const maxBodyBytes = 4096

const invalid = (reason: string): ProxyHeader => ({ state: 'invalid', reason })

/** Reads the header at the start of `bytes`. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return { state: 'incomplete' }
  return bytes[0] === 0x0d ? parseBinary(bytes) : parseLine(bytes)
}

function parseLine(bytes: Buffer): ProxyHeader {
  const start = bytes.toString('latin1', 0, Math.min(bytes.length, 6))
  if (!'PROXY '.startsWith(start)) return invalid('not a PROXY header')
  const end = bytes.indexOf('\r\n')
  // The CR may be the last byte received.
  if (end === -1) return bytes.length >= maxLineBytes ? invalid('the line is too long') : { state: 'incomplete' }
  if (end + 2 > maxLineBytes) return invalid('the line is too long')
  const words = bytes.toString('latin1', 0, end).split(' ')
  const length = end + 2
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = ''] = words
  // What follows UNKNOWN is to be ignored (§2.1).
  if (family === 'UNKNOWN') return { state: 'complete', length, source: null }
  if (family !== 'TCP4' && family !== 'TCP6') return invalid('unknown family')
  if (words.length !== 6) return invalid('a line has six words')
  const isAddress = family === 'TCP4' ? net.isIPv4 : net.isIPv6
  if (!isAddress(source) || !isAddress(destination) || source.includes('%')) return invalid('not an address')
  if (!isPort(sourcePort) || !isPort(destinationPort)) return invalid('not a port')
  return { state: 'complete', length, source: { ip: source, port: Number(sourcePort), destinationPort: Number(destinationPort) } }
}

const isPort = (text: string) => /^(0|[1-9][0-9]{0,4})$/.test(text) && Number(text) <= 65_535

function parseBinary(bytes: Buffer): ProxyHeader {
  const seen = Math.min(bytes.length, signature.length)
  if (bytes.compare(signature, 0, seen, 0, seen) !== 0) return invalid('not a PROXY header')
  if (bytes.length < 16) return { state: 'incomplete' }
  const version = bytes.readUInt8(12) >> 4
  const command = bytes.readUInt8(12) & 0xf
  const family = bytes.readUInt8(13) >> 4
  const transport = bytes.readUInt8(13) & 0xf
  const size = bytes.readUInt16BE(14)
  if (version !== 2) return invalid('unknown version')
  if (command > 1) return invalid('unknown command')
  if (family > 3 || transport > 2) return invalid('unknown family or transport')
  if (size > maxBodyBytes) return invalid('the header is too long')
  const length = 16 + size
  if (bytes.length < length) return { state: 'incomplete' }
  const body = bytes.subarray(16, length)
  // LOCAL: a health check of the balancer, whatever its addresses say (§2.2).
  if (command === 0 || family === 0 || family === 3) return { state: 'complete', length, source: null }
  if (transport !== 1) return invalid('only streams are carried here')
  const width = family === 1 ? 4 : 16
  if (body.length < 2 * width + 4) return invalid('the addresses are cut short')
  if (!areTlvsWhole(body.subarray(2 * width + 4))) return invalid('a TLV is cut short')
  const ip = family === 1 ? body.subarray(0, 4).join('.') : textOfIPv6(body.subarray(0, 16))
  return { state: 'complete', length, source: { ip, port: body.readUInt16BE(2 * width), destinationPort: body.readUInt16BE(2 * width + 2) } }
}

function areTlvsWhole(tlvs: Buffer): boolean {
  let at = 0
  while (at < tlvs.length) {
    if (at + 3 > tlvs.length) return false
    at += 3 + tlvs.readUInt16BE(at + 1)
  }
  return at === tlvs.length
}

// The canonical spelling (RFC 5952), as the kernel writes it.
function textOfIPv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':')
  return new net.SocketAddress({ address: groups, family: 'ipv6' }).address
}

/**
 * Reads the header of a new connection, before TLS and HTTP. `then` is called with the visitor's address (null: the balancer's own
 * connection) when the socket's next bytes follow the header. A connection whose header is invalid, too long or late (`deadlineMs`) is
 * closed.
 */
export function readProxyHeader(socket: net.Socket, deadlineMs: number, then: (source: ProxySource | null) => void): void {
  let held: Buffer = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), deadlineMs)
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', look)
    socket.off('end', drop)
    socket.off('close', stop)
  }
  const drop = () => socket.destroy()
  const ignore = () => {}
  const look = () => {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const header = parseProxyHeader(held)
    if (header.state === 'incomplete') return
    stop()
    if (header.state === 'invalid') return void socket.destroy()
    const rest = held.subarray(header.length)
    if (rest.length > 0) socket.unshift(rest)
    then(header.source)
    socket.off('error', ignore)
  }
  socket.on('error', ignore)
  socket.on('readable', look)
  socket.once('end', drop)
  socket.once('close', stop)
}
