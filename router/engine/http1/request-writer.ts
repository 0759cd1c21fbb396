import type { ForwardPlan } from '../../gate/gate'
import { prepareEdits, putFields } from '../headers/edits'
import type { Visitor } from '../headers/visitor'
import type { Outbox } from '../io/slab'
import { outsideHost } from '../upstream/faults'
import type { RequestHead } from './parse/request-head'

const version = Buffer.from(' HTTP/1.1\r\n')
const chunkedLine = Buffer.from('Transfer-Encoding: chunked\r\n')
const upgradeLines = Buffer.from('Connection: Upgrade\r\nUpgrade: websocket\r\n')
const headEnd = Buffer.from('\r\n\r\n')
/** Upper bound of the constant lines and the router's own Host line. */
const fixedBytes = 256

/**
 * Lines with facts about the visitor, up to the name of X-Request-Id: the same for all requests of a connection to one host, unless a
 * trusted proxy opened it. `host`: the Host header, byte for byte (latin1); `port`: its port, or empty.
 */
export function forwardedLines({ ip, scheme, forwardedFor, port: usualPort }: Visitor, host: string, port: string): Buffer {
  const lines = [
    `X-Forwarded-For: ${forwardedFor}`,
    `X-Forwarded-Proto: ${scheme}`,
    `X-Forwarded-Host: ${host}`,
    `X-Forwarded-Port: ${port || usualPort}`,
    `X-Real-IP: ${ip}`,
    'X-Request-Id: ',
  ]
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

function writeRequestLine(out: Outbox, bytes: Buffer, head: RequestHead, target: string | null): void {
  if (target === null) out.put(bytes, head.start, head.targetEnd)
  else {
    out.put(bytes, head.start, head.targetStart)
    out.text(target)
  }
  out.putAll(version)
}

/**
 * Writes the head for the instance: the client's bytes without hop-by-hop lines, then the router's lines. Without edits the head starts
 * with exactly the client's method and target, which `KeptFacts.movedTo` requires.
 */
export function writeRequestHead(out: Outbox, bytes: Buffer, head: RequestHead, plan: ForwardPlan, forwarded: Buffer, requestId: Buffer): void {
  const { fields } = head
  const edits = plan.requestHeaders === null ? null : prepareEdits(plan.requestHeaders)
  const added = (plan.target?.length ?? 0) + (plan.outside?.hostname.length ?? 0) + (edits?.lines.length ?? 0)
  out.reserve(head.end - head.start + added + forwarded.length + requestId.length + fixedBytes)
  // If the request line is unchanged, copy it together with the following lines.
  const asItCame = plan.target === null && plan.outside === null && head.minor === 1
  if (!asItCame) writeRequestLine(out, bytes, head, plan.target)
  if (plan.outside !== null) {
    for (let line = 0; line < fields.count; line++) if (fields.is(bytes, line, 'host')) fields.cut[line] = 1
    out.text(`Host: ${outsideHost(plan.outside)}\r\n`)
  }
  if (edits !== null && edits.cut !== null) fields.cutNames(bytes, edits.cut)
  putFields(out, bytes, fields, asItCame ? head.start : -1)
  if (edits !== null) out.putAll(edits.lines)
  if (head.chunked) out.putAll(chunkedLine)
  if (head.upgrade) out.putAll(upgradeLines)
  out.putAll(forwarded)
  out.putAll(requestId)
  out.putAll(headEnd)
}
