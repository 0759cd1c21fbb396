import { PassThrough } from 'node:stream'
import type { AnswerFilter, HeaderEdits, LocalAnswer } from '../gate/gate'
import { editList } from './headers/edits'
import type { AnswerHead } from './http1/parse/answer-head'

/** `replace`: at once; `bodiless`: once the instance's is over; `streamed`: with the body that `open` gives. */
export interface FilterVerdict {
  kind: 'replace' | 'bodiless' | 'streamed'
  answer: LocalAnswer
}

/** One answer of an instance that passes a filter: the slow path, through streams. */
export class FilteredAnswer {
  readonly filter: AnswerFilter
  #through: NodeJS.ReadWriteStream | null = null
  /** The filter got the whole answer, or was aborted. */
  #over = false

  constructor(filter: AnswerFilter) {
    this.filter = filter
  }

  /** Whether the body is written to `write` instead of to the client. */
  get streams(): boolean {
    return this.#through !== null
  }

  /** What is to be sent instead of the instance's answer; null: it passes as it is. */
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
    // Where only the head changed the body passes through a stream all the same: one way for all rewritten answers.
    this.#through = verdict.through ?? new PassThrough()
    if (!isHead && head.status !== 204 && head.status !== 304) return { kind: 'streamed', answer }
    this.#drop()
    return { kind: 'bodiless', answer }
  }

  /** The body as it comes out. `onDrain`: the stream takes more; `onBroken`: it failed. */
  open(onDrain: () => void, onBroken: () => void): NodeJS.ReadableStream {
    const through = this.#through ?? new PassThrough()
    through.on('drain', onDrain)
    through.on('error', onBroken)
    return through
  }

  /** What a filter would make of no body (the frame of an empty archive) must not follow a head that has none. */
  #drop(): void {
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
