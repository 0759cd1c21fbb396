import { readBuffer } from './slab'

/** Counts the clients of this worker that are slow in one respect. Above the limit each of them gets less memory or time. */
export class LoadGauge {
  readonly #limit: number
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  enter(): void {
    this.#size++
  }

  leave(): void {
    this.#size--
  }

  get overloaded(): boolean {
    return this.#size > this.#limit
  }
}

/** Clients that owe the rest of a request's body. */
export const uploads = new LoadGauge(1_024)
/** Clients that do not read their answers. Bytes already read for such a client stay in memory until it reads them. */
export const slowReaders = new LoadGauge(256)
const smallRead = readBuffer.subarray(0, 8_192)

/** The buffer for the next read from an instance. */
export const nextReadBuffer = (): Buffer => (slowReaders.overloaded ? smallRead : readBuffer)
