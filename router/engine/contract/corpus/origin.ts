import net, { type AddressInfo } from 'node:net'
import type { Target } from '@/shared/route-table'
import type { Closable } from '../testing'

/** A request as an instance received it, in a comparable form. */
export interface SeenRequest {
  line: string
  /** Lower-case names with values, sorted; without values that change each time. */
  headers: string[]
  body: string
}

export interface RecordingOrigin extends Closable {
  target: Target
  requests: SeenRequest[]
  /** Received bytes that are not a valid HTTP/1.1 request. */
  unclean: string[]
  reset(): void
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const requestLine = new RegExp(`^${token} /[!-"$-~]* HTTP/1\\.1$`)
const headerLine = new RegExp(`^(${token}):[ \\t]*([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)$`)

interface Parsed {
  length: number
  request: SeenRequest
}

/** Parses a request strictly; null: incomplete; a text: why it is invalid. */
export function readRequest(text: string): Parsed | string | null {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const [line = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  if (!requestLine.test(line)) return `request line: ${JSON.stringify(line)}`
  const fields = lines.map((each) => headerLine.exec(each))
  if (fields.some((field) => field === null)) return `header line in ${JSON.stringify(lines)}`
  const pairs = fields.map((field) => [field?.[1]?.toLowerCase() ?? '', field?.[2]?.trim() ?? ''] as const)
  const of = (name: string) => pairs.filter(([each]) => each === name).map(([, value]) => value)
  if (of('host').length !== 1) return 'not one Host'
  const codings = of('transfer-encoding')
  const lengths = of('content-length')
  if (codings.length + lengths.length > 1) return 'more than one framing'
  if (codings.length === 1 && codings[0] !== 'chunked') return `coding ${codings[0]}`
  if (lengths.length === 1 && !/^[0-9]+$/.test(lengths[0] ?? '')) return `length ${lengths[0]}`
  const ignored = new Set(['x-request-id', 'connection'])
  const headers = pairs
    .filter(([name]) => !ignored.has(name))
    .map(([name, value]) => `${name}: ${value}`)
    .sort()
  const start = headEnd + 4
  const body = codings.length === 1 ? readChunks(text, start) : readCounted(text, start, Number(lengths[0] ?? 0))
  if (body === null || typeof body === 'string') return body
  return { length: body.end, request: { line, headers, body: body.text } }
}

function readCounted(text: string, start: number, length: number): { end: number; text: string } | null {
  return text.length < start + length ? null : { end: start + length, text: text.slice(start, start + length) }
}

function readChunks(text: string, start: number): { end: number; text: string } | string | null {
  let at = start
  let payload = ''
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return text.length - at > 20 ? 'endless chunk size' : null
    const size = text.slice(at, lineEnd)
    if (!/^[0-9a-f]{1,12}$/i.test(size)) return `chunk size ${JSON.stringify(size)}`
    const length = Number.parseInt(size, 16)
    at = lineEnd + 2
    if (length === 0) return readTrailers(text, at, payload)
    if (text.length < at + length + 2) return null
    if (text.slice(at + length, at + length + 2) !== '\r\n') return 'chunk without its end'
    payload += text.slice(at, at + length)
    at += length + 2
  }
}

function readTrailers(text: string, start: number, payload: string): { end: number; text: string } | string | null {
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    if (lineEnd === at) return { end: at + 2, text: payload }
    if (!headerLine.test(text.slice(at, lineEnd))) return 'trailer line'
    at = lineEnd + 2
  }
}

/** Starts an instance that answers valid requests, and records valid and invalid requests. */
export async function recordingOrigin(): Promise<RecordingOrigin> {
  const requests: SeenRequest[] = []
  const unclean: string[] = []
  const open = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    let held = ''
    open.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', (bytes: Buffer) => {
      held += bytes.toString('latin1')
      for (let parsed = readRequest(held); parsed !== null; parsed = readRequest(held)) {
        if (typeof parsed === 'string') {
          unclean.push(`${parsed} in ${JSON.stringify(held.slice(0, 400))}`)
          socket.destroy()
          return
        }
        held = held.slice(parsed.length)
        requests.push(parsed.request)
        socket.write(answerTo(parsed.request), 'latin1')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    target: { instanceId: 'app', host: '127.0.0.1', port },
    requests,
    unclean,
    reset: () => {
      requests.length = 0
      unclean.length = 0
    },
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

// A response that identifies its request.
function answerTo({ line }: SeenRequest): string {
  const target = line.split(' ')[1]?.slice(0, 100) ?? ''
  return `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Target: ${target}\r\n\r\n${line.startsWith('HEAD ') ? '' : 'ok'}`
}
