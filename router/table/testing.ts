import { encodeParts, headFrame, headOf } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'
import { type BuiltTable, TableBuilder } from './builder'
import { TableCopy } from './copy'

/** The messages of a table, as a router stores them. */
export function copyOf(table: RouteTable): TableCopy {
  const frames = [...encodeParts(table)].map(({ frame }) => frame)
  const head = headOf(table)
  const copy = new TableCopy(head, headFrame(head, frames.length))
  for (const frame of frames) copy.add(frame)
  return copy
}

/** A table built from its parts; `before`: the table that serves. */
export function build(table: RouteTable, before: BuiltTable | null = null): BuiltTable {
  const parts = [...encodeParts(table)]
  const builder = new TableBuilder(headOf(table), parts.length, before)
  for (const { frame } of parts) builder.add(frame)
  return builder.finish()
}
