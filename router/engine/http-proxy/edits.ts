import type { ForwardPlan, HeaderEdits } from '../../gate/gate'
import { framing } from '../headers/edits'
import { outsideHost } from '../upstream/faults'

type Pairs = [string, string][]

/** Applies `edits` to headers: removes, replaces, appends, in this order. Framing fields stay unchanged. */
export function editPairs(pairs: Pairs, edits: HeaderEdits | null): Pairs {
  if (edits === null) return pairs
  const gone = new Set([...edits.remove, ...edits.set.map(([name]) => name.toLowerCase())].filter((name) => !framing.has(name)))
  const kept = gone.size === 0 ? [...pairs] : pairs.filter(([name]) => !gone.has(name.toLowerCase()))
  for (const pair of [...edits.set, ...edits.append]) if (!framing.has(pair[0].toLowerCase())) kept.push(pair)
  return kept
}

/** The request headers after `plan`, as a record for node:http clients; a host outside the table gets its own Host. */
export function forwardedHeaders(headers: Record<string, string | string[]>, plan: ForwardPlan): Record<string, string | string[]> {
  const { requestHeaders: edits, outside } = plan
  if (outside) {
    for (const name of Object.keys(headers)) if (name.toLowerCase() === 'host') delete headers[name]
    headers.Host = outsideHost(outside)
  }
  if (edits === null) return headers
  const pairs = Object.entries(headers).flatMap(([name, value]): Pairs => (Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]]))
  return toRecord(editPairs(pairs, edits))
}

/** Converts pairs to a record: keeps the first spelling of each name, and repeated names become arrays. */
export function toRecord(pairs: Pairs): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null)
  const spelling = new Map<string, string>()
  for (const [written, value] of pairs) {
    const name = written.toLowerCase()
    const key = spelling.get(name) ?? written
    spelling.set(name, key)
    const present = headers[key]
    headers[key] = present === undefined ? value : Array.isArray(present) ? [...present, value] : [present, value]
  }
  return headers
}

/** Converts a flat list of names and values to pairs. */
export function toPairs(flat: readonly string[]): Pairs {
  const pairs: Pairs = []
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return pairs
}
