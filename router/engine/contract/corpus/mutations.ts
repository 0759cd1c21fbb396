import { type CorpusCase, corpus } from './requests'

/** Deterministic random numbers in [0, 1) for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Fragments that affect framing, inserted anywhere. */
const pieces = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\n\n',
  '\0',
  '\t',
  ' ',
  ':',
  ';',
  ',',
  '"',
  '0',
  '1',
  'f',
  '-1',
  '+',
  '0x',
  '\x0b',
  '\x7f',
  '\x85',
  '\xa0',
  '\xff',
  'chunked',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Connection: close\r\n',
  'Connection: Content-Length\r\n',
  'Connection: Transfer-Encoding\r\n',
  'Host: app.test\r\n',
  'Host: other.test\r\n',
  'Expect: 100-continue\r\n',
  ' HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n',
]

export class Mutator {
  readonly #random: () => number
  readonly #bases: CorpusCase[]

  constructor(seed: number, bases: CorpusCase[] = corpus) {
    this.#random = seeded(seed)
    this.#bases = bases
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T
  }

  /** A request of the corpus with one to four random changes, as latin1. */
  next(): string {
    let bytes = this.#one(this.#bases).bytes
    for (let left = 1 + this.#below(4); left > 0; left--) bytes = this.#change(bytes)
    return bytes
  }

  #change(bytes: string): string {
    const at = this.#below(bytes.length + 1)
    const end = Math.min(bytes.length, at + 1 + this.#below(this.#random() < 0.8 ? 4 : 60))
    switch (this.#below(8)) {
      case 0:
        return bytes.slice(0, at) + String.fromCharCode(this.#below(256)) + bytes.slice(at + 1)
      case 1:
        return bytes.slice(0, at) + bytes.slice(end)
      case 2:
        return bytes.slice(0, end) + bytes.slice(at)
      case 3:
      case 4:
        return bytes.slice(0, at) + this.#one(pieces) + bytes.slice(at)
      case 5:
        return bytes.slice(0, at) + this.#one(pieces) + bytes.slice(end)
      case 6:
        return this.#moveLine(bytes)
      default: {
        const other = this.#one(this.#bases).bytes
        return bytes.slice(0, at) + other.slice(this.#below(other.length))
      }
    }
  }

  #moveLine(bytes: string): string {
    const lines = bytes.split('\r\n')
    const [line = ''] = lines.splice(this.#below(lines.length), 1)
    lines.splice(this.#below(lines.length + 1), 0, line)
    return lines.join('\r\n')
  }

  /** Splits bytes randomly like a network; mostly not at all. */
  parts(bytes: string): Buffer[] {
    const whole = Buffer.from(bytes, 'latin1')
    if (this.#random() < 0.7 || whole.length < 2) return [whole]
    const at = 1 + this.#below(whole.length - 1)
    return [whole.subarray(0, at), whole.subarray(at)]
  }
}
