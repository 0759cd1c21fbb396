import { tablePartBytes } from '../link'
import type { CertificateEntry, RouteTable, TableHead } from '../route-table'
import { encodeFrame } from './frames'

type PartKind = 'policies' | 'certificates' | 'routes'

/** Minimum size of a part: from here on, the next boundary entry ends the part. */
const minPartBytes = 8 * 1024
/** One in this many entries is a boundary. */
const boundaryEvery = 32
/** Characters at the start of an entry that are hashed: they contain a route's host. */
const hashedChars = 64

/** Maximum names of one certificate entry; a certificate with more names is split. */
const maxNamesPerEntry = 500

// Start and end of a part, around its entries.
const opening: Record<PartKind, string> = {
  policies: '{"type":"table-part","policies":{',
  certificates: '{"type":"table-part","certificates":[',
  routes: '{"type":"table-part","routes":[',
}
const anyOpening = Buffer.from('{"type":"table-part",')
const closing: Record<PartKind, string> = { policies: '}}\n', certificates: ']}\n', routes: ']}\n' }

/** Whether a message is a part of a table, decided by its first bytes without parsing. */
export const isTablePart = (line: Buffer): boolean => line.length > anyOpening.length && anyOpening.compare(line, 0, anyOpening.length) === 0

export interface EncodedPart {
  kind: PartKind
  /** The complete message. */
  frame: Buffer
}

/** A table encoded for the link. */
export interface EncodedTable {
  head: TableHead
  parts: readonly EncodedPart[]
}

/**
 * Whether a part ends after this entry: decided by a hash of the entry's start, not by size. With boundaries by size, one new entry would shift
 * all following parts, and no part would be identical to the previous table's.
 */
function endsPart(entry: string): boolean {
  let hash = 0x811c9dc5
  for (let i = 0; i < entry.length && i < hashedChars; i++) hash = Math.imul(hash ^ entry.charCodeAt(i), 0x01000193)
  return (hash >>> 16) % boundaryEvery === 0
}

/** Encodes the parts of a table lazily, so the caller can pause in between. @throws RangeError when a part exceeds the maximum string length. */
export function* encodeParts({ policies = {}, certificates = [], routes }: RouteTable): Generator<EncodedPart> {
  yield* packed('policies', Object.entries(policies), ([name, policy]) => `${JSON.stringify(name)}:${JSON.stringify(policy)}`)
  yield* packed('certificates', splitCertificates(certificates), (entry) => JSON.stringify(entry))
  yield* packed('routes', routes, (route) => JSON.stringify(route))
}

function* packed<T>(kind: PartKind, items: Iterable<T>, encode: (item: T) => string): Generator<EncodedPart> {
  let entries: string[] = []
  let length = 0
  for (const item of items) {
    const entry = encode(item)
    if (entries.length > 0 && length + entry.length > tablePartBytes) {
      yield partOf(kind, entries)
      entries = []
      length = 0
    }
    entries.push(entry)
    length += entry.length + 1
    if (length < minPartBytes || !endsPart(entry)) continue
    yield partOf(kind, entries)
    entries = []
    length = 0
  }
  if (entries.length > 0) yield partOf(kind, entries)
}

const partOf = (kind: PartKind, entries: readonly string[]): EncodedPart => ({
  kind,
  frame: Buffer.from(`${opening[kind]}${entries.join(',')}${closing[kind]}`),
})

function* splitCertificates(certificates: readonly CertificateEntry[]): Generator<CertificateEntry> {
  for (const entry of certificates)
    if (entry.names.length <= maxNamesPerEntry) yield entry
    else for (let i = 0; i < entry.names.length; i += maxNamesPerEntry) yield { ...entry, names: entry.names.slice(i, i + maxNamesPerEntry) }
}

/** The fields of a table that are not lists. */
export function headOf({ version, generatedAt, dashboardUrl, httpsPort, outsideHosts }: TableHead): TableHead {
  return { version, generatedAt, dashboardUrl, ...(httpsPort !== undefined && { httpsPort }), ...(outsideHosts && { outsideHosts }) }
}

/** The first message of a table. */
export const headFrame = (head: TableHead, parts: number): Buffer => Buffer.from(encodeFrame({ type: 'table-head', head, parts }))

/** All messages of a table, in their order. */
export function* tableFrames({ head, parts }: EncodedTable): Generator<Buffer> {
  yield headFrame(head, parts.length)
  for (const { frame } of parts) yield frame
  yield Buffer.from(encodeFrame({ type: 'table-end', version: head.version }))
}
