import { readBuffer } from './slab'

/** Clients of this worker that are slow at the same thing. A few are nobody's concern; in a crowd each is given less. */
export class Crowd {
  readonly #many: number
  #size = 0

  constructor(many: number) {
    this.#many = many
  }

  enter(): void {
    this.#size++
  }

  leave(): void {
    this.#size--
  }

  get dense(): boolean {
    return this.#size > this.#many
  }
}

/** Those that owe the rest of a request's body. */
export const uploads = new Crowd(1_024)
/** Those that do not take what they are given. What was read for such a client is held until it does. */
export const readers = new Crowd(256)
const smallRead = readBuffer.subarray(0, 8_192)

/** Where the next bytes of an instance are read into. */
export const nextRead = (): Buffer => (readers.dense ? smallRead : readBuffer)
