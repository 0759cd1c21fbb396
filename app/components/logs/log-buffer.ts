import { maxBuildLogLines } from '@/shared/logs'
import type { LogLineView } from '@/shared/views'
import { plainText } from './ansi'

export interface BufferedLine extends LogLineView {
  /** Counts from 1; stays the line's own when older lines are dropped. */
  number: number
  plain: string
}

export interface LogSnapshot {
  lines: readonly BufferedLine[]
  /** Lines that were dropped at the front. */
  dropped: number
}

const frame = (run: () => void) => (typeof requestAnimationFrame === 'function' ? requestAnimationFrame(run) : setTimeout(run, 16))

/**
 * Lines of a log outside of React: thousands may arrive in one burst, and a render for each line would freeze the page. Readers are notified
 * once per frame. Bounded: only the newest lines are kept.
 */
export class LogBuffer {
  private lines: BufferedLine[] = []
  private total = 0
  private snapshot: LogSnapshot = { lines: [], dropped: 0 }
  private scheduled = false
  private readonly readers = new Set<() => void>()
  private readonly limit: number

  constructor(limit: number = maxBuildLogLines + 1) {
    this.limit = limit
  }

  /** Position to resume after. */
  get lastId(): string | undefined {
    return this.lines.at(-1)?.id
  }

  /** Adds a line; ignores a duplicate (sent again after a reconnection). */
  append(line: LogLineView): void {
    if (line.id === this.lastId) return
    this.total++
    this.lines.push({ ...line, number: this.total, plain: plainText(line.text) })
    // Dropping in blocks keeps this linear.
    if (this.lines.length > this.limit * 1.1) this.lines = this.lines.slice(-this.limit)
    this.schedule()
  }

  readonly subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader)
    return () => this.readers.delete(reader)
  }
  readonly getSnapshot = (): LogSnapshot => this.snapshot

  toText(): string {
    return this.lines.map((line) => line.plain).join('\n')
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    frame(() => {
      this.scheduled = false
      this.snapshot = { lines: this.lines.slice(), dropped: this.total - this.lines.length }
      for (const reader of this.readers) reader()
    })
  }
}
