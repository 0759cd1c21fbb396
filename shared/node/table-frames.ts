import { tablePartBytes } from '../link'
import type { CertificateEntry, RouteTable, TableHead } from '../route-table'
import { encodeFrame } from './frames'

type PartKind = 'policies' | 'certificates' | 'routes'

/** From so many bytes on a part ends after an entry that says so itself. */
const leastPartBytes = 8 * 1024
/** One entry of so many says so. */
const endsOneOf = 32
/** What an entry is told by: its first characters, with a route's host in them. */
const toldBy = 64

/** Of a certificate for more names only so many are said at once. */
const namesAtOnce = 500

// How a part begins and ends, around its entries.
const opening: Record<PartKind, string> = {
  policies: '{"type":"table-part","policies":{',
  certificates: '{"type":"table-part","certificates":[',
  routes: '{"type":"table-part","routes":[',
}
const anyOpening = Buffer.from('{"type":"table-part",')
const closing: Record<PartKind, string> = { policies: '}}\n', certificates: ']}\n', routes: ']}\n' }

/** Whether a message is a part of a table, told without reading it. */
export const isTablePart = (line: Buffer): boolean => line.length > anyOpening.length && anyOpening.compare(line, 0, anyOpening.length) === 0

export interface EncodedPart {
  kind: PartKind
  /** The whole message. */
  frame: Buffer
}

/** A table as it goes over the link. */
export interface EncodedTable {
  head: TableHead
  parts: readonly EncodedPart[]
}

/**
 * Whether a part ends after this entry: decided by nothing but how the entry begins. Were parts cut by size alone, one entry more would
 * move all that follows into other parts, and none of them would be the same bytes as before.
 */
function endsPart(entry: string): boolean {
  let hash = 0x811c9dc5
  for (let i = 0; i < entry.length && i < toldBy; i++) hash = Math.imul(hash ^ entry.charCodeAt(i), 0x01000193)
  return (hash >>> 16) % endsOneOf === 0
}

/** The parts of a table, made one at a time: whoever asks for them pauses in between. @throws RangeError on one that no text can hold. */
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
    if (length < leastPartBytes || !endsPart(entry)) continue
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
    if (entry.names.length <= namesAtOnce) yield entry
    else for (let i = 0; i < entry.names.length; i += namesAtOnce) yield { ...entry, names: entry.names.slice(i, i + namesAtOnce) }
}

/** What a table says once. */
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
