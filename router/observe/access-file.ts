import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import path from 'node:path'
import type { RouterLog } from '../log'

export interface AccessFileOptions {
  file: string
  log: RouterLog
  /** Size at which the file is renamed to `<file>.1`, that one to `<file>.2` and so on. */
  maxBytes?: number
  /** Rotated files to keep. */
  keep?: number
  /** Maximum bytes waiting for a slow disk; further lines are dropped and counted. */
  maxWaitingBytes?: number
}

const errorPauseMs = 5_000

/**
 * Appends lines to a file, in batches and in the background: a slow, full or missing disk loses lines, never requests. Each line is a
 * complete JSON object with control characters escaped (RFC 8259 §7).
 */
export class AccessFile {
  readonly #options: Required<AccessFileOptions>
  #waiting: string[] = []
  #waitingBytes = 0
  #dropped = 0
  #handle: FileHandle | undefined
  #sizeBytes = 0
  #writing: Promise<void> | undefined
  #pausedUntil = 0
  /** The file ends with an incomplete line: start the next line with a line end. */
  #torn = false

  constructor(options: AccessFileOptions) {
    this.#options = { maxBytes: 64 * 1024 * 1024, keep: 4, maxWaitingBytes: 4 * 1024 * 1024, ...options }
  }

  /** Queues a line (without line end). */
  write(line: string): void {
    if (this.#waitingBytes + line.length > this.#options.maxWaitingBytes) {
      this.#dropped++
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length + 1
  }

  /** Writes the queued lines, unless a write is in progress or has just failed. */
  flush(): void {
    if (this.#writing || this.#waiting.length === 0 || Date.now() < this.#pausedUntil) return
    this.#writing = this.#writeBatch().finally(() => {
      this.#writing = undefined
    })
  }

  /** Writes the queued lines and closes the file. */
  async close(): Promise<void> {
    await this.#writing
    this.#pausedUntil = 0
    this.flush()
    await this.#writing
    await this.#handle?.close().catch(() => {})
    this.#handle = undefined
  }

  async #writeBatch(): Promise<void> {
    const count = this.#waiting.length
    const dropped = this.#dropped
    this.#dropped = 0
    if (dropped > 0) this.#waiting.push(JSON.stringify({ at: Date.now(), dropped }))
    const lines = `${this.#waiting.join('\n')}\n`
    this.#waiting = []
    this.#waitingBytes = 0
    try {
      const handle = await this.#writable(Buffer.byteLength(lines))
      const text = Buffer.from(this.#torn ? `\n${lines}` : lines)
      const { bytesWritten } = await handle.write(text)
      this.#sizeBytes += bytesWritten
      if (bytesWritten > 0) this.#torn = bytesWritten < text.length
      if (bytesWritten < text.length) throw new Error(`${bytesWritten} of ${text.length} bytes written: the disk is full`)
    } catch (error) {
      this.#dropped += dropped + count
      this.#pausedUntil = Date.now() + errorPauseMs
      this.#options.log.warn({ err: error, file: this.#options.file, lines: count }, 'access log not written; trying again in 5 s')
      await this.#handle?.close().catch(() => {})
      this.#handle = undefined
    }
  }

  async #writable(bytes: number): Promise<FileHandle> {
    const { file, maxBytes } = this.#options
    if (this.#handle && this.#sizeBytes + bytes > maxBytes && this.#sizeBytes > 0) await this.#rotate()
    if (this.#handle) return this.#handle
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    // Mode 0600: requests may contain private data.
    const handle = await open(file, 'a', 0o600)
    this.#handle = handle
    this.#sizeBytes = (await handle.stat()).size
    if (this.#sizeBytes + bytes > maxBytes && this.#sizeBytes > 0) {
      await this.#rotate()
      return this.#writable(bytes)
    }
    return handle
  }

  async #rotate(): Promise<void> {
    const { file, keep } = this.#options
    await this.#handle?.close()
    this.#handle = undefined
    this.#torn = false
    for (let i = keep; i > 0; i--)
      await rename(i === 1 ? file : `${file}.${i - 1}`, `${file}.${i}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
  }
}
