import { PassThrough } from 'node:stream'
import type { AnswerFilter, LocalAnswer } from '../../gate/gate'
import type { AnswerHead } from './parse/answer-head'

/** One answer of an instance under the eyes of a filter: the slow path, through streams. */
export class FilteredAnswer {
  readonly filter: AnswerFilter
  #through: NodeJS.ReadWriteStream | null = null
  /** The filter was told everything, or that nothing more will come. */
  #over = false

  constructor(filter: AnswerFilter) {
    this.filter = filter
  }

  /** Whether the body is written to `write` instead of to the client. */
  get streams(): boolean {
    return this.#through !== null
  }

  /** What is to be sent instead of the instance's head; null: the answer passes as it is. */
  onHead(head: AnswerHead): null | { replace: LocalAnswer } | { status: number; headers: [string, string][] } {
    const { filter } = this
    const read = (name: string) => head.fields.joined(head.bytes, name, ', ')
    if (filter.wants && !filter.wants(head.status, read)) return null
    const verdict = filter.onHead(head.status, head.list())
    if (verdict === null) return null
    if ('replace' in verdict) {
      this.#over = true
      return verdict
    }
    // Where only the head changed the body passes through a stream all the same: one way for all rewritten answers.
    this.#through = verdict.through ?? new PassThrough()
    return verdict
  }

  /** The body as it comes out. `onDrain`: the stream takes more; `onBroken`: it failed. */
  open(onDrain: () => void, onBroken: () => void): NodeJS.ReadableStream {
    const through = this.#through ?? new PassThrough()
    through.on('drain', onDrain)
    through.on('error', onBroken)
    return through
  }

  /** What a filter would make of no body (the frame of an empty archive) must not follow a head that has none. */
  drop(): void {
    this.#through?.on('error', () => {}).resume()
    this.#through?.end()
    this.#through = null
  }

  /** Payload. False: wait for `onDrain`. */
  write(bytes: Buffer, start: number, end: number): boolean {
    return this.#through?.write(Buffer.from(bytes.subarray(start, end))) ?? true
  }

  /** The instance's answer is whole. */
  end(): void {
    this.#through?.end()
  }

  /** Everything came, and all of it was sent. */
  finished(): void {
    this.#over = true
  }

  /** Nothing half may be kept. */
  abort(): void {
    const through = this.#through
    this.#through = null
    if (!this.#over) {
      this.#over = true
      this.filter.abort()
    }
    if (through !== null && 'destroy' in through && typeof through.destroy === 'function') through.destroy()
  }
}
