import type { RequestHead } from './request-head'
import type { H2Stream } from './stream'

/** Answers requests. `tooLarge`: fields of the head were cut. */
interface RequestHandler {
  onRequest(stream: H2Stream, head: RequestHead, tooLarge: boolean): void
}

interface Opened {
  stream: H2Stream
  head: RequestHead
  tooLarge: boolean
}

/**
 * Requests whose heads came with the bytes that are being read, and which nobody has been asked about yet: whoever resets a stream in the
 * same breath (CVE-2023-44487) has cost the reading of a head, and neither a decision nor a connection to an instance.
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

  /** Gives them to the handler, in order: before anything more of one is looked at, and when what was read is at its end. */
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
