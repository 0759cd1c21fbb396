import http from 'node:http'
import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { Mutator } from '../../contract/corpus/mutations'
import { corpus } from '../../contract/corpus/requests'
import { testLimits } from '../../contract/testing'
import { parseRequestHead, RequestHead } from './request-head'

interface Read {
  method: string
  target: string
  fields: string[]
  chunked: boolean
  contentLength: number
}

const head = new RequestHead()

/** What the lean parser makes of the first head; null: it refuses or waits. */
function readLean(bytes: Buffer): Read | null {
  const after = parseRequestHead(head, bytes, 0, bytes.length, testLimits)
  if (after <= 0 || head.refusal !== null) return null
  const { fields } = head
  return {
    method: head.method,
    target: bytes.toString('latin1', head.targetStart, head.targetEnd),
    fields: Array.from({ length: fields.count }, (_, line) => `${fields.name(bytes, line)}: ${fields.value(bytes, line)}`),
    chunked: head.chunked,
    contentLength: head.contentLength,
  }
}

/** What Node's parser, llhttp in its strict mode, makes of it. */
function readNode(bytes: Buffer): Promise<Read | null> {
  return new Promise((resolve) => {
    const server = http.createServer({ maxHeaderSize: testLimits.maxHeaderBytes * 2, insecureHTTPParser: false, requireHostHeader: false })
    server.maxHeadersCount = 0
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const finish = (read: Read | null) => {
      server.removeAllListeners()
      server.on('clientError', () => {})
      socket.destroy()
      resolve(read)
    }
    const onRequest = (req: http.IncomingMessage) => {
      const raw = req.rawHeaders
      const fields = Array.from({ length: raw.length / 2 }, (_, i) => `${raw[2 * i]?.toLowerCase()}: ${raw[2 * i + 1]}`)
      const { 'transfer-encoding': coding, 'content-length': length } = req.headers
      const chunked = coding !== undefined
      finish({ method: req.method ?? '', target: req.url ?? '', fields, chunked, contentLength: length === undefined ? -1 : Number(length) })
    }
    server.on('request', onRequest)
    server.on('checkContinue', onRequest)
    server.on('checkExpectation', onRequest)
    server.on('upgrade', onRequest)
    server.on('connect', onRequest)
    server.on('clientError', () => finish(null))
    server.emit('connection', socket)
    // The head alone: what follows it is another test's.
    socket.push(bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4))
    setImmediate(() => setImmediate(() => finish(null)))
  })
}

describe('beside llhttp', () => {
  test('whatever the lean parser accepts, llhttp reads the same way', async () => {
    const mutator = new Mutator(7)
    const all = [...corpus.map(({ bytes }) => bytes), ...Array.from({ length: 6_000 }, () => mutator.next())]
    let accepted = 0
    for (const text of all) {
      const bytes = Buffer.from(text, 'latin1')
      const lean = readLean(bytes)
      if (lean === null) continue
      accepted++
      expect(await readNode(bytes), JSON.stringify(text)).toEqual(lean)
    }
    expect(accepted).toBeGreaterThan(500)
  }, 60_000)
})
