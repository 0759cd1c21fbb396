import { ErrorCode, Flag } from './protocol'

/** Maximum CONTINUATION frames per header block: an endless block would exhaust memory (CONTINUATION flood, CVE-2024-27316). */
const maxContinuations = 16

/** A header block that did not fit in its HEADERS frame: collected until END_HEADERS (RFC 9113 §4.3). */
export class HeaderBlock {
  readonly #maxBytes: number
  #fragments: Buffer[] = []
  #bytes = 0
  #continuations = 0
  /** Stream of the unfinished block; 0: none. */
  streamId = 0
  endStream = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  begin(streamId: number, endStream: boolean, fragment: Buffer): number {
    this.streamId = streamId
    this.endStream = endStream
    this.#continuations = 0
    this.#fragments = []
    this.#bytes = 0
    return this.#add(fragment)
  }

  /** Adds the fragment of a CONTINUATION frame. Returns an error code. */
  continue(fragment: Buffer): number {
    if (++this.#continuations > maxContinuations) return ErrorCode.enhanceYourCalm
    return this.#add(fragment)
  }

  #add(fragment: Buffer): number {
    this.#bytes += fragment.length
    if (this.#bytes > this.#maxBytes) return ErrorCode.enhanceYourCalm
    // Copy the fragment: a view would keep the whole read buffer alive.
    if (fragment.length > 0) this.#fragments.push(Buffer.from(fragment))
    return ErrorCode.noError
  }

  take(): Buffer {
    const block = Buffer.concat(this.#fragments)
    this.#fragments = []
    this.#bytes = 0
    this.streamId = 0
    return block
  }
}

/** The payload of a frame without padding and, in HEADERS, without priority; null where they are longer than the frame (§6.1, §6.2). */
export function stripPadding(flags: number, bytes: Buffer, start: number, end: number): { start: number; end: number } | null {
  if (!(flags & Flag.padded)) return { start, end }
  if (start >= end) return null
  const padding = bytes[start] as number
  return start + 1 + padding > end ? null : { start: start + 1, end: end - padding }
}
