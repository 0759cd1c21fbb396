import { type LogRecord, maxBuildLogLines, maxLogLineBytes } from '@/shared/logs'
import { createMask } from '@/shared/node/mask'

type Stream = LogRecord['stream']

/** A build that writes more than this is stopped: long past what anybody reads. */
const maxLogBytes = 128 * 1024 * 1024
/** A line is looked at for secrets up to here; the rest of it is dropped. */
const maxPendingChars = 64 * 1024
const tailLines = 12
/** Cuts bytes into lines of text: valid UTF-8, no NUL (Postgres refuses it), the last state of a line redrawn by carriage returns. */
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
    if (this.discarding) {
      this.discarding = false
      return
    }
    const text = line.replace(/\r+$/, '').replaceAll('\0', '')
    this.onLine(text.slice(text.lastIndexOf('\r') + 1))
  }
}

/** The log of one build: masked, bounded, with the last lines at hand for the error message. */
export class BuildLog {
  private lines = 0
  private bytes = 0
  private tail: string[] = []
  private readonly mask: (text: string) => string
  private readonly onLog: (line: Omit<LogRecord, 'at'>) => void
  private readonly flooded = new AbortController()
  /** Aborted when the build has written more than any log may hold. */
  readonly flood: AbortSignal = this.flooded.signal
  constructor(onLog: (line: Omit<LogRecord, 'at'>) => void, secrets: Readonly<Record<string, string>>) {
    this.onLog = onLog
    this.mask = createMask(secrets)
  }
  line(step: string, stream: Stream, text: string): void {
    this.bytes += text.length + 1
    if (this.bytes > maxLogBytes) this.flooded.abort()
    const shown = cutBytes(this.mask(text))
    if (shown.trim()) {
      this.tail.push(shown)
      if (this.tail.length > tailLines) this.tail.shift()
    }
    this.lines += 1
    if (this.lines <= maxBuildLogLines || stream === 'system') this.onLog({ step, stream, text: shown })
    else if (this.lines === maxBuildLogLines + 1)
      this.onLog({ step, stream: 'system', text: `The log has reached ${maxBuildLogLines} lines; what the build writes from here on is not kept.` })
  }
  system(step: string, text: string): void {
    this.line(step, 'system', text)
  }
  startStep(): void {
    this.tail = []
  }
  lastLines(): readonly string[] {
    return this.tail
  }
}

function cutBytes(text: string): string {
  if (text.length * 3 <= maxLogLineBytes) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= maxLogLineBytes) return text
  const room = maxLogLineBytes - 16
  return `${new TextDecoder().decode(bytes.subarray(0, room)).replace(/\uFFFD$/, '')} … (cut)`
}
