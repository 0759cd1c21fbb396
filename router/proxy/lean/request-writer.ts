import type { ForwardPlan } from '../../gate/gate'
import { outsideHost } from '../upstreams'
import { prepareEdits, putFields } from './edits'
import type { RequestHead } from './parse/request-head'
import type { Outbox } from './slab'

const version = Buffer.from(' HTTP/1.1\r\n')
const chunkedLine = Buffer.from('Transfer-Encoding: chunked\r\n')
const upgradeLines = Buffer.from('Connection: Upgrade\r\nUpgrade: websocket\r\n')
const requestIdName = Buffer.from('X-Request-Id: ')
const headEnd = Buffer.from('\r\n\r\n')

export interface ForwardedFor {
  ip: string
  scheme: 'http' | 'https'
  /** The Host header, byte for byte (latin1). */
  host: string
  /** From the Host header, else the one the client connected to. */
  port: string
}

/** The lines that say what the router knows of the client; the same for all requests of a connection to one host. */
export function forwardedLines({ ip, scheme, host, port }: ForwardedFor): Buffer {
  const lines = [
    `X-Forwarded-For: ${ip}`,
    `X-Forwarded-Proto: ${scheme}`,
    `X-Forwarded-Host: ${host}`,
    `X-Forwarded-Port: ${port}`,
    `X-Real-IP: ${ip}`,
    '',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

/**
 * Writes the head for the instance: the client's own bytes, less what ends here, then what the router says. Without edits the head
 * begins with exactly the client's method and target, which `KeptFacts.movedTo` counts on.
 */
export function writeRequestHead(out: Outbox, bytes: Buffer, head: RequestHead, plan: ForwardPlan, forwarded: Buffer, requestId: Buffer): void {
  const { fields } = head
  if (plan.target === null) out.put(bytes, head.start, head.targetEnd)
  else {
    out.put(bytes, head.start, head.targetStart)
    out.text(plan.target)
  }
  out.putAll(version)
  if (plan.outside !== null) {
    for (let line = 0; line < fields.count; line++) if (fields.is(bytes, line, 'host')) fields.cut[line] = 1
    out.text(`Host: ${outsideHost(plan.outside)}\r\n`)
  }
  const edits = plan.requestHeaders === null ? null : prepareEdits(plan.requestHeaders)
  if (edits !== null && edits.cut !== null) fields.cutNames(bytes, edits.cut)
  putFields(out, bytes, fields)
  if (edits !== null) out.putAll(edits.lines)
  if (head.chunked) out.putAll(chunkedLine)
  if (head.upgrade) out.putAll(upgradeLines)
  out.putAll(forwarded)
  out.putAll(requestIdName)
  out.putAll(requestId)
  out.putAll(headEnd)
}
