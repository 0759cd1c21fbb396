import type { BufferedLine } from './log-buffer'

export const rowHeight = 20
/** Characters of the time column: "14:03:09" and a gap. */
export const timeColumns = 10
/** Minimum width for the time column: narrow screens show only the text. */
export const timedFromPx = 560

// East Asian wide characters and emoji take two columns of a monospaced font.
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]/gu

function columnsOf(text: string): number {
  // Most lines are ASCII: run the expensive expression only for other lines.
  return text.length + (/[\u0080-\uffff]/.test(text) ? (text.match(wide)?.length ?? 0) : 0)
}

/** Rows each line takes when it is broken after `columns` characters, as running totals: `starts[i]` is the first row of line i, the last entry the total. */
export function layoutRows(lines: readonly BufferedLine[], columns: number): Uint32Array {
  const starts = new Uint32Array(lines.length + 1)
  const width = Math.max(1, columns)
  for (let index = 0; index < lines.length; index++) {
    const rows = Math.max(1, Math.ceil(columnsOf(lines[index]?.plain ?? '') / width))
    starts[index + 1] = (starts[index] ?? 0) + rows
  }
  return starts
}

/** Index of the line that covers `row`. */
export function lineAtRow(starts: Uint32Array, row: number): number {
  let low = 0
  let high = Math.max(0, starts.length - 2)
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= row) low = middle
    else high = middle - 1
  }
  return low
}
