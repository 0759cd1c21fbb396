import { maxLogLineBytes } from '@/shared/logs'
import type { InstanceLogLine } from '../driver'
import { logText } from '../log-text'

const newline = 0x0a
const space = 0x20

interface Frame {
  stream: 'stdout' | 'stderr'
  content: Buffer
}

/** Reads the engine's multiplexed stream: a header of 8 octets (stream, 0, 0, 0, length), then the content. One frame holds one log entry. */
export async function* readFrames(stream: AsyncIterable<Uint8Array>): AsyncIterable<Frame> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let offset = 0
    while (rest.length - offset >= 8) {
      const length = rest.readUInt32BE(offset + 4)
      if (rest.length - offset - 8 < length) break
      yield { stream: rest[offset] === 2 ? 'stderr' : 'stdout', content: rest.subarray(offset + 8, offset + 8 + length) }
      offset += 8 + length
    }
    rest = rest.subarray(offset)
  }
}

interface Partial {
  time: string
  parts: Buffer[]
  size: number
}

/**
 * Reads lines with cursors `<time>/<n>`: the engine's time in nanoseconds, and the index among lines of the same time. The engine splits lines
 * at 16 KiB into several entries; they are joined here.
 */
export async function* readLines(stream: AsyncIterable<Uint8Array>): AsyncIterable<InstanceLogLine> {
  const open: Record<Frame['stream'], Partial | null> = { stdout: null, stderr: null }
  let lastTime = ''
  let sameTime = 0
  const finish = (name: Frame['stream'], partial: Partial): InstanceLogLine => {
    sameTime = partial.time === lastTime ? sameTime + 1 : 0
    lastTime = partial.time
    const line = { stream: name, text: logText(Buffer.concat(partial.parts)), at: new Date(partial.time), cursor: `${partial.time}/${sameTime}` }
    return partial.size > maxLogLineBytes ? { ...line, cut: 'dropped' } : line
  }
  for await (const frame of readFrames(stream)) {
    const cut = frame.content.indexOf(space)
    if (cut < 0) continue
    const time = frame.content.subarray(0, cut).toString('latin1')
    const whole = frame.content.at(-1) === newline
    const text = frame.content.subarray(cut + 1, whole ? -1 : undefined)
    const partial = open[frame.stream] ?? { time, parts: [], size: 0 }
    // Drop the rest of a line beyond the maximum length.
    if (partial.size <= maxLogLineBytes) partial.parts.push(Buffer.from(text))
    partial.size += text.length
    open[frame.stream] = whole ? null : partial
    if (whole) yield finish(frame.stream, partial)
  }
  for (const name of ['stdout', 'stderr'] as const) if (open[name]) yield finish(name, open[name])
}

const timeOf = (cursor: string) => cursor.slice(0, cursor.lastIndexOf('/'))
/** Compares RFC 3339 times with nanoseconds; Date has only milliseconds. */
function compareTimes(a: string, b: string): number {
  const seconds = a.slice(0, 19).localeCompare(b.slice(0, 19))
  return seconds !== 0 ? seconds : fraction(a) - fraction(b)
}
const fraction = (time: string) => Number(`0${/\.\d+/.exec(time)?.[0] ?? '.0'}`)

/** The `since` parameter that returns everything after a cursor: a second earlier, because the times of the two streams are not in order. */
export function sinceOf(cursor: string): string {
  return String(Math.floor(new Date(timeOf(cursor)).getTime() / 1000) - 1)
}

/** Lines after `cursor`. If the line of the cursor was rotated away: all later lines. */
export async function* linesAfter(lines: AsyncIterable<InstanceLogLine>, cursor: string | undefined): AsyncIterable<InstanceLogLine> {
  let searching = cursor !== undefined
  let later: InstanceLogLine[] = []
  for await (const line of lines) {
    if (!searching || cursor === undefined) {
      yield line
      continue
    }
    if (line.cursor === cursor) {
      searching = false
      later = []
      continue
    }
    if (compareTimes(timeOf(line.cursor), timeOf(cursor)) > 0) later.push(line)
    // A second later the line of the cursor cannot appear any more.
    if (later.length > 0 && line.at.getTime() > new Date(timeOf(cursor)).getTime() + 2_000) {
      searching = false
      yield* later
      later = []
    }
  }
  if (searching) yield* later
}
