import { maxLogLineBytes } from '@/shared/logs'
import type { Mask } from '@/shared/node/mask'
import type { InstanceLogLine } from './driver'

/** Text of a line for InstanceLogLine: no line end, valid UTF-8, bounded. */
export function logText(line: Uint8Array): string {
  let end = line.length
  if (end > 0 && line[end - 1] === 0x0d) end--
  if (end <= maxLogLineBytes) return new TextDecoder().decode(line.subarray(0, end))
  // `stream: true` omits an incomplete character at the cut instead of replacing it.
  return `${new TextDecoder().decode(line.subarray(0, maxLogLineBytes - 4), { stream: true })}…`
}

/** Matches Node's message before it aborts because its heap is full; the kernel does not report this case. */
export const heapExhausted =
  /JavaScript heap out of memory|Reached heap limit|Array buffer allocation failed|ERR_MEMORY_ALLOCATION_FAILED|process out of memory/

/** Masks the lines of one instance in order, including secrets that span the pieces of a long line. */
export function lineMask(mask: Mask): (line: Pick<InstanceLogLine, 'stream' | 'text' | 'cut'>) => string {
  const pieces = { stdout: mask.pieces(), stderr: mask.pieces() }
  return ({ stream, text, cut }) => {
    const shown = pieces[stream](text, cut !== undefined)
    // The next text of the stream is another line.
    if (cut === 'dropped') pieces[stream] = mask.pieces()
    return shown
  }
}
