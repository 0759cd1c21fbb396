import { ChunkScanner } from './parse/chunked'
import type { RequestHead } from './parse/request-head'

/** Finds the end of a request body, by Content-Length or chunks. */
export class RequestFrame {
  /** Run of payload that the last `take` found. */
  from = 0
  to = 0
  done = true
  #left = 0
  #chunks: ChunkScanner | null = null
  #chunked = false

  begin(head: RequestHead): void {
    this.done = !head.hasBody
    this.#chunked = head.chunked
    this.#left = head.contentLength
    if (!head.chunked) return
    this.#chunks ??= new ChunkScanner()
    this.#chunks.reset()
  }

  /** Available once `done`; null: no trailers that may be forwarded. */
  get trailers(): [string, string][] | null {
    return this.#chunked && this.#chunks !== null ? this.#chunks.trailers : null
  }

  /** Continues at `at`. Returns the offset to continue at, or -1 for invalid chunks. */
  take(bytes: Buffer, at: number, end: number): number {
    const chunks = this.#chunks
    if (this.#chunked && chunks !== null) {
      const after = chunks.scan(bytes, at, end)
      this.from = chunks.from
      this.to = chunks.to
      this.done = chunks.done
      return after
    }
    const run = Math.min(this.#left, end - at)
    this.#left -= run
    this.from = at
    this.to = at + run
    this.done = this.#left === 0
    return this.to
  }
}
