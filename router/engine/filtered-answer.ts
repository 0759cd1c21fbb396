import { PassThrough } from 'node:stream'
import type { AnswerFilter, HeaderEdits, LocalAnswer } from '../gate/gate'
import { editList } from './headers/edits'
import type { AnswerHead } from './http1/parse/answer-head'

/** `replace`: send now; `bodiless`: send when the instance's answer has ended; `streamed`: send with the body returned by `open`. */
export interface FilterVerdict {
  kind: 'replace' | 'bodiless' | 'streamed'
  answer: LocalAnswer
}

/** One answer that passes through a filter as a stream: the slow path. */
export class FilteredAnswer {
  readonly filter: AnswerFilter
  #through: NodeJS.ReadWriteStream | null = null
  /** The filter received the whole answer, or was aborted. */
  #over = false

  constructor(filter: AnswerFilter) {
    this.filter = filter
  }

  /** Whether the body is written to `write` instead of to the client. */
  get streams(): boolean {
    return this.#through !== null
  }

  /** The answer to send instead of the instance's; null: unchanged. */
  onHead(head: AnswerHead, isHead: boolean, edits: HeaderEdits | null, setCookie: string | null): FilterVerdict | null {
    const { filter } = this
    if (filter.wants && !filter.wants(head.status, head.read, head.contentLength)) return null
    const verdict = filter.onHead(head.status, head.list())
    if (verdict === null) return null
    if ('replace' in verdict) {
      this.#over = true
      return { kind: 'replace', answer: verdict.replace }
    }
    const headers = [...editList(verdict.headers, edits)]
    if (setCookie !== null) headers.push(['Set-Cookie', setCookie])
    const answer: LocalAnswer = { status: verdict.status, headers, body: null, cache: 'none', why: null }
    // Use a stream even if only the head changed: one code path for all filtered answers.
    this.#through = verdict.through ?? new PassThrough()
    if (!isHead && head.status !== 204 && head.status !== 304) return { kind: 'streamed', answer }
    this.#drop()
    return { kind: 'bodiless', answer }
  }

  /** The filtered body. `onDrain`: the filter accepts more; `onBroken`: it failed. */
  open(onDrain: () => void, onBroken: () => void): NodeJS.ReadableStream {
    const through = this.#through ?? new PassThrough()
    through.on('drain', onDrain)
    through.on('error', onBroken)
    return through
  }

  /**
   * Discards the filter's output: a filter may produce bytes even for an empty body (an archive's frame), and these must not follow a head
   * without body.
   */
  #drop(): void {
    this.#through?.on('error', () => {}).resume()
    this.#through?.end()
    this.#through = null
  }

  /** Payload. False: wait for `onDrain`. */
  write(bytes: Buffer, start: number, end: number): boolean {
    return this.#through?.write(Buffer.from(bytes.subarray(start, end))) ?? true
  }

  /** The instance's answer is complete. */
  end(): void {
    this.#through?.end()
  }

  /** The whole answer was received and sent. */
  finished(): void {
    this.#over = true
  }

  /** Aborts the filter: a partial answer must not be stored. */
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
