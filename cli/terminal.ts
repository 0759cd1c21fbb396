import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import type { WireError } from '@/shared/errors'
import type { LogLineView, StepView } from '@/shared/views'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const clearLine = '\r\u001b[2K'

export const seconds = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`
  return size < 1024 * 1024 ? `${(size / 1024).toFixed(1)} kB` : `${(size / 1024 / 1024).toFixed(1)} MB`
}

/**
 * Progress for people, on stderr: stdout is for results. On a terminal the last line is a spinner and log lines scroll above it;
 * elsewhere there are plain lines only.
 */
export class Progress {
  readonly #out: NodeJS.WriteStream
  readonly #live: boolean
  readonly #colors: ReturnType<typeof pc.createColors>
  #status = ''
  #since = 0
  #frame = 0
  #timer: NodeJS.Timeout | undefined

  constructor(out: NodeJS.WriteStream = process.stderr, options: { live?: boolean } = {}) {
    this.#out = out
    this.#live = options.live ?? out.isTTY === true
    this.#colors = pc.createColors(this.#live && pc.isColorSupported)
  }

  /** Shows the current activity. */
  status(text: string): void {
    if (text === this.#status) return
    this.#status = text
    this.#since = performance.now()
    if (!this.#live) return
    this.#draw()
    this.#timer ??= setInterval(() => this.#draw(), 90)
    this.#timer.unref()
  }

  /** Prints a permanent line. */
  line(raw = ''): void {
    const text = withoutControls(raw)
    this.#out.write(this.#live && this.#timer ? `${clearLine}${text}\n` : `${text}\n`)
    if (this.#timer) this.#draw()
  }

  note(text: string): void {
    this.line(this.#colors.dim(text))
  }

  warn(text: string): void {
    this.line(`${this.#colors.yellow('!')} ${text}`)
  }

  done(text: string, detail = ''): void {
    this.line(`${this.#colors.green('✓')} ${text}${detail ? ` ${this.#colors.dim(detail)}` : ''}`)
  }

  step(step: StepView): void {
    const time = step.cached ? 'reused' : step.durationMs === null ? '' : seconds(step.durationMs)
    const detail = [time, step.detail].filter(Boolean).join(' · ')
    if (step.status === 'done') this.done(step.name, detail)
    else this.line(`${this.#colors.red('✗')} ${step.name} ${step.status}${detail ? ` ${this.#colors.dim(detail)}` : ''}`)
  }

  log(record: LogText): void {
    this.line(logText(record, this.#live, this.#live ? '  ' : ''))
  }

  /** @param place where to read the details */
  failure(error: WireError, place?: string): void {
    this.stop()
    this.line(`${this.#colors.red('✗')} ${this.#colors.bold(error.message)}`)
    if (error.step) this.line(`  Step: ${error.step}`)
    if (error.stillServing) this.line(`  Still serving: ${error.stillServing}`)
    if (error.nextAction) this.line(`  Next: ${error.nextAction}`)
    if (place) this.line(`  Details: ${place}`)
  }

  /** Removes the spinner. */
  stop(): void {
    if (!this.#timer) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#out.write(clearLine)
  }

  #draw(): void {
    this.#frame = (this.#frame + 1) % frames.length
    const elapsed = seconds(Math.floor((performance.now() - this.#since) / 100) * 100)
    const text = `${this.#status} ${elapsed}`.slice(0, Math.max(10, (this.#out.columns ?? 80) - 4))
    this.#out.write(`${clearLine}${this.#colors.cyan(frames[this.#frame] ?? '')} ${text}`)
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression removes control characters
const notColor = /\u001b\[[0-9;?]*[A-LN-Za-ln-z]|\u001b[^[]|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/g

/**
 * Messages may quote a DNS zone, a CA or a webhook: only colours, tabs and line ends reach the terminal, no other control characters.
 */
export const withoutControls = (text: string): string => text.replace(notColor, '')

type LogText = Pick<LogLineView, 'step' | 'stream' | 'text'>

/** Formats a log line. App output is untrusted: control sequences other than colours are removed. */
export function logText(record: LogText, terminal: boolean, indent = ''): string {
  const text = printable(record.text, terminal)
  if (!terminal) return `[${record.step}] ${text}`
  return `${indent}${pc.dim(record.step.padEnd(8))} ${record.stream === 'system' ? pc.cyan(text) : text}`
}

function printable(text: string, colors: boolean): string {
  return colors ? `${text.replace(notColor, '')}${text.includes('\u001b') ? '\u001b[0m' : ''}` : stripVTControlCharacters(text).replace(notColor, '')
}

/** Aligns columns; the last column is not padded. */
export function table(rows: string[][]): string {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, stripVTControlCharacters(cell).length)), [])
  const pad = (cell: string, width: number) => cell + ' '.repeat(Math.max(0, width - stripVTControlCharacters(cell).length))
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0))).join('  ')).join('\n')
}

/** "3 min ago" */
export function ago(iso: string, now = Date.now()): string {
  const s = Math.max(0, Math.round((now - Date.parse(iso)) / 1000))
  if (s < 60) return `${s} s ago`
  if (s < 3600) return `${Math.floor(s / 60)} min ago`
  return s < 86_400 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor(s / 86_400)} d ago`
}
