import { type LogRecord, maxBuildLogLines, maxLogLineBytes } from '@/shared/logs'
import { createMask } from '@/shared/node/mask'
import { FailureReason } from './reason'

type Stream = LogRecord['stream']

/** A build that writes more than this is stopped. */
export const maxLogBytes = 128 * 1024 * 1024
const maxLogLines = 2_000_000
/** Maximum characters of a line; the rest is dropped. */
const maxPendingChars = 64 * 1024
const tailLines = 40
/** Number of last lines kept of each step after the head of a long log. */
const heldLines = 5_000
const headLines = maxBuildLogLines - heldLines
/** Sequences that put the cursor to the beginning of the line, as progress displays do instead of a carriage return. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
const toLineBeginning = /\u001b\[[01]?G/g

/** The last state of a line that was redrawn; carriage returns at its end do not count. */
function lastState(text: string): string {
  const line = text.replace(toLineBeginning, '\r')
  const end = /\r*$/.exec(line)?.index ?? line.length
  return line.slice(line.lastIndexOf('\r', end - 1) + 1)
}

/** Splits bytes into lines of text: valid UTF-8, no NUL (Postgres refuses it), only the last state of a redrawn line. */
export class LineSplitter {
  private readonly decoder = new TextDecoder()
  private pending = ''
  private discarding = false
  private readonly onLine: (text: string) => void
  constructor(onLine: (text: string) => void) {
    this.onLine = onLine
  }
  push(chunk: Uint8Array): void {
    const parts = (this.pending + this.decoder.decode(chunk, { stream: true })).split('\n')
    this.pending = parts.pop() ?? ''
    for (const part of parts) this.emit(part)
    if (this.pending.length <= maxPendingChars) return
    // A progress display redraws one line many times; only its last state is kept.
    const state = lastState(this.pending)
    if (state.length < this.pending.length) this.discarding = false
    this.pending = state
    if (this.pending.length > maxPendingChars) {
      this.emit(this.pending)
      this.pending = ''
      this.discarding = true
    }
  }
  end(): void {
    if (this.pending) this.emit(this.pending)
    this.pending = ''
  }
  private emit(line: string): void {
    const text = lastState(line)
    const redrawn = text.length < line.replace(/\r+$/, '').length
    if (this.discarding && !redrawn) {
      this.discarding = false
      return
    }
    this.discarding = false
    this.onLine(text.replace(/\r+$/, '').replaceAll('\0', ''))
  }
}

type Line = Omit<LogRecord, 'at'>

/** The log of a build: masked and bounded (its head and the end of each step are kept). Also finds the reason of a failure. */
export class BuildLog {
  private lines = 0
  private bytes = 0
  private tail: string[] = []
  /** Ring buffer of the newest lines after the head, starting at `held % heldLines`; written at the end of the step. */
  private ring: Line[] = []
  private held = 0
  private why = new FailureReason()
  private readonly mask: (text: string) => string
  private readonly onLog: (line: Line) => void
  private readonly flooded = new AbortController()
  /** Aborted when the output of the build exceeds the limit. */
  readonly flood: AbortSignal = this.flooded.signal
  constructor(onLog: (line: Line) => void, secrets: Readonly<Record<string, string>>) {
    this.onLog = onLog
    this.mask = createMask(secrets)
  }
  line(step: string, stream: Stream, text: string): void {
    this.bytes += text.length + 1
    if (this.bytes > maxLogBytes || this.lines > maxLogLines) this.stopFlood()
    // Beyond the limit, drop output until the build ends.
    if (this.flood.aborted && stream !== 'system') return
    const shown = cutBytes(this.mask(text))
    if (stream !== 'system') this.why.look(shown)
    if (shown.trim()) {
      this.tail.push(shown)
      if (this.tail.length > tailLines) this.tail.shift()
    }
    this.lines += 1
    if (this.lines <= headLines || stream === 'system') {
      this.onLog({ step, stream, text: shown })
      return
    }
    if (this.held === 0)
      this.onLog({
        step,
        stream: 'system',
        text: `The log has reached ${headLines} lines: of what this step writes from here on, the last ${heldLines} lines are kept and shown when it ends.`,
      })
    this.ring[this.held % heldLines] = { step, stream, text: shown }
    this.held += 1
  }
  stopFlood(): void {
    this.flooded.abort()
  }
  system(step: string, text: string): void {
    this.line(step, 'system', text)
  }
  startStep(): void {
    this.tail = []
    this.why = new FailureReason()
  }
  /** Writes the buffered last lines of a step in a long log. */
  endStep(): void {
    const { ring, held } = this
    this.ring = []
    this.held = 0
    const left = Math.max(0, held - heldLines)
    const ordered = left === 0 ? ring : [...ring.slice(held % heldLines), ...ring.slice(0, held % heldLines)]
    if (left > 0 && ordered[0]) this.onLog({ step: ordered[0].step, stream: 'system', text: `${left} lines of the middle are left out here.` })
    for (const line of ordered) this.onLog(line)
  }
  lastLines(): readonly string[] {
    return this.tail
  }
  /** The reason of a failure, according to the output of this step. */
  reason(): FailureReason {
    return this.why
  }
}

function cutBytes(text: string): string {
  if (text.length * 3 <= maxLogLineBytes) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= maxLogLineBytes) return text
  const room = maxLogLineBytes - 16
  return `${new TextDecoder().decode(bytes.subarray(0, room)).replace(/\uFFFD$/, '')} … (cut)`
}
