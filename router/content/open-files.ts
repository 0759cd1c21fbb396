import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'

interface OpenFile {
  handle: FileHandle
  readers: number
  /** Close the descriptor after the last reader. */
  retired: boolean
}

const chunkBytes = 64 * 1024

/** Caches descriptors of frequently requested files. A file that is replaced or removed during a read is read to its end. */
export class OpenFiles {
  readonly #max: number
  readonly #files = new Map<string, Promise<OpenFile>>()

  constructor(max = 256) {
    this.#max = max
  }

  /** Streams bytes `first` to `last` of a file, both inclusive, one piece at a time. Errors are emitted by the stream. */
  read(file: string, first: number, last: number): Readable {
    let opened: OpenFile | null = null
    let at = first
    const release = () => {
      if (opened !== null) this.#release(opened)
      opened = null
    }
    const next = async (stream: Readable) => {
      opened ??= await this.#acquire(file)
      if (stream.destroyed) return release()
      const wanted = Math.min(chunkBytes, last + 1 - at)
      const { bytesRead, buffer } = await opened.handle.read(Buffer.allocUnsafeSlow(wanted), 0, wanted, at)
      if (stream.destroyed) return release()
      if (bytesRead === 0) throw new Error(`${file} is shorter than it was`)
      at += bytesRead
      stream.push(buffer.subarray(0, bytesRead))
    }
    let reading = 0
    return new Readable({
      // Do not read ahead: ten thousand slow readers must not hold two pieces each.
      highWaterMark: 1,
      read() {
        if (at > last) {
          release()
          this.push(null)
          return
        }
        reading++
        next(this).then(
          () => {
            reading--
            // The reader may have left while it handled the piece.
            if (this.destroyed) release()
          },
          (error: Error) => {
            release()
            this.destroy(error)
          },
        )
      },
      destroy(error, done) {
        // A read in progress still needs the descriptor and releases it itself.
        if (reading === 0) release()
        done(error)
      },
    })
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

  // Closes the file after its last reader. Readers that wait for the same promise are counted first, because their callbacks were queued earlier.
  #retire(opening: Promise<OpenFile>): void {
    opening.then(
      (opened) => {
        opened.retired = true
        if (opened.readers === 0) void opened.handle.close().catch(() => {})
      },
      () => {},
    )
  }

  /** The file left the cache: it is closed after its last reader. */
  forget(file: string): void {
    const opening = this.#files.get(file)
    if (opening === undefined) return
    this.#files.delete(file)
    this.#retire(opening)
  }

  close(): void {
    for (const opening of this.#files.values()) this.#retire(opening)
    this.#files.clear()
  }
}
