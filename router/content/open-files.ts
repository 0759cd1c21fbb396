import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'

interface OpenFile {
  handle: FileHandle
  readers: number
  /** To be closed by the last reader. */
  retired: boolean
}

const chunkBytes = 256 * 1024

/** Descriptors of files that are asked for again and again. A file that is replaced or removed meanwhile is read to its end. */
export class OpenFiles {
  readonly #max: number
  readonly #files = new Map<string, Promise<OpenFile>>()

  constructor(max = 256) {
    this.#max = max
  }

  /** Bytes `first` to `last` of a file, both inclusive. Errors are the stream's. */
  read(file: string, first: number, last: number): Readable {
    if (last < first) return Readable.from([])
    return Readable.from(this.#chunks(file, first, last), { objectMode: false, highWaterMark: chunkBytes })
  }

  async *#chunks(file: string, first: number, last: number): AsyncGenerator<Buffer> {
    const opened = await this.#acquire(file)
    try {
      const stream = createReadStream('', { fd: opened.handle.fd, autoClose: false, start: first, end: last, highWaterMark: chunkBytes })
      let left = last - first + 1
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        left -= chunk.length
        yield chunk
      }
      if (left > 0) throw new Error(`${file} is shorter than it was`)
    } finally {
      this.#release(opened)
    }
  }

  async #acquire(file: string): Promise<OpenFile> {
    let opening = this.#files.get(file)
    if (opening) this.#files.delete(file)
    else opening = open(file, 'r').then((handle) => ({ handle, readers: 0, retired: false }))
    this.#files.set(file, opening)
    this.#trim()
    try {
      const opened = await opening
      opened.readers++
      return opened
    } catch (error) {
      if (this.#files.get(file) === opening) this.#files.delete(file)
      throw error
    }
  }

  #release(opened: OpenFile): void {
    opened.readers--
    if (opened.retired && opened.readers === 0) void opened.handle.close().catch(() => {})
  }

  #trim(): void {
    for (const [file, opening] of this.#files) {
      if (this.#files.size <= this.#max) return
      this.#files.delete(file)
      this.#retire(opening)
    }
  }

  // Whoever awaits the same promise has counted itself by then: its continuation was queued first.
  #retire(opening: Promise<OpenFile>): void {
    opening.then(
      (opened) => {
        opened.retired = true
        if (opened.readers === 0) void opened.handle.close().catch(() => {})
      },
      () => {},
    )
  }

  close(): void {
    for (const opening of this.#files.values()) this.#retire(opening)
    this.#files.clear()
  }
}
