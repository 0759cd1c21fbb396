import { mayTrail } from '../../headers/trailers'
import { CR, hexValue, LF, SPACE, TAB, tokenByte, valueByte } from './tables'

const sizeState = 0
const extensionState = 1
const sizeLfState = 2
const dataState = 3
const dataCrState = 4
const dataLfState = 5
const trailerState = 6
const trailerLineState = 7
const trailerLfState = 8
const lastLfState = 9

const maxSizeDigits = 13
/** Limit for a whole body, not per chunk. */
const maxExtensionBytes = 16_384
const maxTrailerBytes = 16_384

/**
 * Strict scanner of a chunked body (RFC 9112 §7.1) that accepts arbitrary pieces. Finds the runs of payload. Framing is never forwarded but
 * written anew, so instances cannot interpret unusual framing differently.
 */
export class ChunkScanner {
  /** Run of payload found by the last `scan`; empty when `from === to`. */
  from = 0
  to = 0
  /** The body ended at the offset that the last `scan` returned. */
  done = false
  #state = sizeState
  #left = 0
  #digits = 0
  #extra = 0
  #line = ''
  #trailers: [string, string][] | null = null

  reset(): void {
    this.done = false
    this.#state = sizeState
    this.#left = 0
    this.#digits = 0
    this.#extra = 0
    this.#line = ''
    this.#trailers = null
  }

  /** Trailer fields that may be passed on, once `done`; null when there are none. */
  get trailers(): [string, string][] | null {
    return this.#trailers
  }

  /**
   * Continues at `at` up to the next run of payload, the end of the body, or the end of the bytes.
   * @returns the offset to continue at, or -1 for invalid framing.
   */
  scan(bytes: Buffer, at: number, end: number): number {
    this.from = this.to = at
    let i = at
    while (i < end) {
      const byte = bytes[i] as number
      switch (this.#state) {
        case sizeState: {
          const digit = hexValue[byte] as number
          if (digit < 16) {
            if (++this.#digits > maxSizeDigits) return -1
            this.#left = this.#left * 16 + digit
          } else if (this.#digits === 0) return -1
          else if (byte === CR) this.#state = sizeLfState
          else if (byte === 59) this.#state = extensionState
          else return -1
          i++
          break
        }
        case dataState: {
          const run = Math.min(this.#left, end - i)
          this.from = i
          this.to = i + run
          this.#left -= run
          if (this.#left === 0) this.#state = dataCrState
          return i + run
        }
        default:
          if (!this.#framing(byte)) return -1
          i++
          if (this.done) return i
      }
    }
    return i
  }

  /** Processes a byte of framing. Returns false if it is invalid. */
  #framing(byte: number): boolean {
    switch (this.#state) {
      case extensionState:
        if (byte === CR) this.#state = sizeLfState
        else if (valueByte[byte] !== 1 || ++this.#extra > maxExtensionBytes) return false
        return true
      case sizeLfState:
        this.#state = this.#left === 0 ? trailerState : dataState
        this.#digits = 0
        return byte === LF
      case dataCrState:
        this.#state = dataLfState
        return byte === CR
      case dataLfState:
        this.#state = sizeState
        return byte === LF
      default:
        return this.#trailer(byte)
    }
  }

  #trailer(byte: number): boolean {
    switch (this.#state) {
      case trailerState:
        if (byte === CR) {
          this.#state = lastLfState
          return true
        }
        this.#state = trailerLineState
        this.#line = String.fromCharCode(byte)
        return tokenByte[byte] === 1
      case trailerLineState:
        if (byte === CR) {
          this.#state = trailerLfState
          return this.#keep()
        }
        this.#line += String.fromCharCode(byte)
        return valueByte[byte] === 1 && ++this.#extra <= maxTrailerBytes
      case trailerLfState:
        this.#state = trailerState
        return byte === LF
      default:
        this.done = byte === LF
        return this.done
    }
  }

  #keep(): boolean {
    const colon = this.#line.indexOf(':')
    if (colon <= 0) return false
    for (let i = 0; i < colon; i++) if (tokenByte[this.#line.charCodeAt(i)] !== 1) return false
    const name = this.#line.slice(0, colon)
    const lower = name.toLowerCase()
    // Framing fields in trailers are refused; other forbidden fields are dropped.
    if (lower === 'content-length' || lower === 'transfer-encoding') return false
    if (!mayTrail(lower)) return true
    this.#trailers ??= []
    this.#trailers.push([name, trimmed(this.#line.slice(colon + 1))])
    return true
  }
}

function trimmed(text: string): string {
  let from = 0
  let to = text.length
  const blank = (i: number) => text.charCodeAt(i) === SPACE || text.charCodeAt(i) === TAB
  while (from < to && blank(from)) from++
  while (to > from && blank(to - 1)) to--
  return text.slice(from, to)
}
