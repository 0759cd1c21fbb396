import { mkdirSync, rmSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Payloads that memory had no room for, in a directory of one worker, which is emptied at the start: what a file belongs to is known in
 * memory only. A write is temp + rename, and a read that does not give the very length is none.
 */
export class DiskTier {
  readonly #directory: string
  #next = 0
  /** A disk that failed is left alone until the next start. */
  #broken = false

  constructor(directory: string) {
    this.#directory = directory
    try {
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch {
      this.#broken = true
    }
  }

  /** The name to read it by; null: it could not be kept. */
  async put(body: Buffer): Promise<string | null> {
    if (this.#broken) return null
    const file = path.join(this.#directory, String(this.#next++))
    try {
      await writeFile(`${file}.tmp`, body, { mode: 0o600, flag: 'wx' })
      await rename(`${file}.tmp`, file)
      return file
    } catch {
      // Full or gone: the cache does without it, and tries no more.
      this.#broken = true
      await rm(`${file}.tmp`, { force: true }).catch(() => {})
      return null
    }
  }

  async get(file: string, length: number): Promise<Buffer | null> {
    const body = await readFile(file).catch(() => null)
    return body?.length === length ? body : null
  }

  drop(file: string): void {
    void rm(file, { force: true }).catch(() => {})
  }
}
