import type { RequestHead } from './request-head'
import type { H2Stream } from './stream'

/** Handles requests. `tooLarge`: some header fields were dropped. */
interface RequestHandler {
  onRequest(stream: H2Stream, head: RequestHead, tooLarge: boolean): void
}

interface Opened {
  stream: H2Stream
  head: RequestHead
  tooLarge: boolean
}

/**
 * Requests whose heads arrived in the read that is being processed and that were not dispatched yet. A client that resets a stream in the
 * same read (CVE-2023-44487) costs the parsing of a head, but no decision and no upstream connection.
 */
export class OpenedStreams {
  readonly #handler: RequestHandler
  readonly #list: Opened[] = []

  constructor(handler: RequestHandler) {
    this.#handler = handler
  }

  add(stream: H2Stream, head: RequestHead, tooLarge: boolean): void {
    this.#list.push({ stream, head, tooLarge })
  }

  /** Dispatches the requests in order: before another frame of such a stream is processed, and at the end of the read. */
  begin(): void {
    const list = this.#list
    for (let i = 0; i < list.length; i++) {
      const { stream, head, tooLarge } = list[i] as Opened
      if (!stream.localOpen) continue
      this.#handler.onRequest(stream, head, tooLarge)
      if (head.endStream) stream.taker?.takeEnd(null)
    }
    list.length = 0
  }
}
