import { RawClient } from '../testing'

/** A response in a comparable form. */
export interface SeenAnswer {
  status: number
  /** Lower-case names with values, sorted; without values that change each time or belong to the connection. */
  headers: string[]
  body: string
}

const ignored = new Set(['date', 'x-request-id', 'connection', 'keep-alive', 'transfer-encoding'])
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

/**
 * Parses responses like a client. `rest`: bytes after the last complete response. `heads`: which requests, in order, have a response without
 * body.
 */
export function readAnswers(text: string, heads: boolean[], closed: boolean): { answers: SeenAnswer[]; rest: string } {
  const answers: SeenAnswer[] = []
  let at = 0
  for (;;) {
    const headEnd = text.indexOf('\r\n\r\n', at)
    if (headEnd === -1) return { answers, rest: text.slice(at) }
    const [line = '', ...lines] = text.slice(at, headEnd).split('\r\n')
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(line)?.[1] ?? Number.NaN)
    if (Number.isNaN(status)) return { answers, rest: text.slice(at) }
    const pairs = lines.map((each) => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 1).trim()] as const)
    const of = (name: string) => pairs.find(([each]) => each === name)?.[1]
    const start = headEnd + 4
    const final = answers.filter((answer) => answer.status >= 200).length
    const bodiless = status < 200 || status === 204 || status === 304 || heads[final] === true
    const body = bodiless ? { end: start, text: '' } : readBody(text, start, of('transfer-encoding'), of('content-length'), closed)
    if (body === null) return { answers, rest: text.slice(at) }
    const headers = pairs.filter(([name]) => !ignored.has(name)).map(([name, value]) => `${name}: ${value}`)
    answers.push({ status, headers: headers.sort(), body: body.text.replaceAll(uuid, 'ID') })
    at = body.end
  }
}

function readBody(text: string, start: number, coding: string | undefined, length: string | undefined, closed: boolean) {
  if (coding === 'chunked') return readChunks(text, start)
  if (length !== undefined)
    return text.length < start + Number(length) ? null : { end: start + Number(length), text: text.slice(start, start + Number(length)) }
  return closed ? { end: text.length, text: text.slice(start) } : null
}

function readChunks(text: string, start: number): { end: number; text: string } | null {
  let at = start
  let payload = ''
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const length = Number.parseInt(text.slice(at, lineEnd), 16)
    if (length === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd)
      return end === -1 ? null : { end: end + 4, text: payload }
    }
    payload += text.slice(lineEnd + 2, lineEnd + 2 + length)
    at = lineEnd + 4 + length
    if (at > text.length) return null
  }
}

/** Sends bytes in these parts; returns the received bytes when the connection ends or nothing arrives for `quietMs`. */
export async function converse(port: number, parts: (string | Buffer)[], quietMs: number): Promise<{ text: string; closed: boolean }> {
  const client = await RawClient.connect(port)
  for (const [i, part] of parts.entries()) {
    if (i > 0) await new Promise((resolve) => setImmediate(resolve))
    client.write(part)
  }
  let length = -1
  let since = Date.now()
  while (!client.closed && !client.socket.readableEnded) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (client.received.length !== length) {
      length = client.received.length
      since = Date.now()
    } else if (Date.now() - since > quietMs) break
  }
  const closed = client.closed || client.socket.readableEnded
  client.destroy()
  return { text: client.text(), closed }
}
