import { maxLogLineBytes } from '@/shared/logs'
import type { Mask } from '@/shared/node/mask'
import type { InstanceLogLine } from './driver'

/** Line as InstanceLogLine carries it: no line end, valid UTF-8, bounded. */
export function logText(line: Uint8Array): string {
  let end = line.length
  if (end > 0 && line[end - 1] === 0x0d) end--
  if (end <= maxLogLineBytes) return new TextDecoder().decode(line.subarray(0, end))
  // `stream: true` leaves a character cut in half out instead of replacing it
  return `${new TextDecoder().decode(line.subarray(0, maxLogLineBytes - 4), { stream: true })}…`
}

/** What Node prints before it gives up for want of memory; the kernel has no say in that death. */
export const heapExhausted =
  /JavaScript heap out of memory|Reached heap limit|Array buffer allocation failed|ERR_MEMORY_ALLOCATION_FAILED|process out of memory/

/** Masks the lines of one instance in their order, those of each stream that are cut into pieces across the cuts too. */
export function lineMask(mask: Mask): (line: Pick<InstanceLogLine, 'stream' | 'text' | 'cut'>) => string {
  const pieces = { stdout: mask.pieces(), stderr: mask.pieces() }
  return ({ stream, text, cut }) => {
    const shown = pieces[stream](text, cut !== undefined)
    // What comes next in the stream is another line.
    if (cut === 'dropped') pieces[stream] = mask.pieces()
    return shown
  }
}
