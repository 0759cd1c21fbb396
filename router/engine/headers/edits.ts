import { hopByHop } from '@/shared/hop-by-hop'
import type { HeaderEdits } from '../../gate/gate'
import type { FieldIndex } from '../http1/parse/fields'
import type { Outbox } from '../io/slab'

/** Rules must not change fields for framing and connection handling. */
export const framing: ReadonlySet<string> = new Set([...hopByHop, 'content-length'])

interface PreparedEdits {
  /** Lower-case names of fields to remove; null: none. */
  cut: ReadonlySet<string> | null
  /** Lines to add. */
  lines: Buffer
}

const prepared = new WeakMap<HeaderEdits, PreparedEdits>()

/** Rules return the same edits object for thousands of requests: prepare each object once. */
export function prepareEdits(edits: HeaderEdits): PreparedEdits {
  let ready = prepared.get(edits)
  if (ready === undefined) {
    const names = [...edits.remove, ...edits.set.map(([name]) => name)].map((name) => name.toLowerCase()).filter((name) => !framing.has(name))
    const lines = [...edits.set, ...edits.append]
      .filter(([name]) => !framing.has(name.toLowerCase()))
      .map(([name, value]) => headerLine(name, value))
      .join('')
    ready = { cut: names.length > 0 ? new Set(names) : null, lines: Buffer.from(lines, 'latin1') }
    prepared.set(edits, ready)
  }
  return ready
}

/** Writes the lines that are not cut, unchanged. Adjacent lines are copied together, and bytes from `start` on with the first line. */
export function putFields(out: Outbox, bytes: Buffer, fields: FieldIndex, start = -1): void {
  const { count, lineStart, cut } = fields
  let from = start
  for (let line = 0; line < count; line++) {
    if (cut[line] === 0) {
      if (from === -1) from = lineStart[line] as number
    } else if (from !== -1) {
      out.put(bytes, from, lineStart[line] as number)
      from = -1
    }
  }
  if (from !== -1) out.put(bytes, from, lineStart[count] as number)
}

/** Applies edits to a list of headers. */
export function editList(headers: [string, string][], edits: HeaderEdits | null): [string, string][] {
  if (edits === null) return headers
  const { cut } = prepareEdits(edits)
  const kept = cut === null ? headers : headers.filter(([name]) => !cut.has(name.toLowerCase()))
  return [...kept, ...edits.set, ...edits.append]
}

// Remove line ends: in a value they would start another header, and users write the rules.
const unsafe = /[^\t\x20-\x7e\x80-\xff]/g

/** One header line with its line end. */
export function headerLine(name: string, value: string): string {
  return `${name}: ${value.replace(unsafe, '')}\r\n`
}
