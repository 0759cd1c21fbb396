import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Payloads that memory had no room for, in a directory of this process alone: what a file belongs to is known in memory only, so those
 * of processes that are gone are removed at the start. A write is temp + rename, and a read that does not give the very length is none.
 */
export class DiskTier {
  readonly #directory: string
  #next = 0
  /** A disk that failed is left alone until the next start. */
  #broken = false

  /** @param top shared by all workers */
  constructor(top: string) {
    this.#directory = path.join(top, String(process.pid))
    try {
      mkdirSync(top, { recursive: true, mode: 0o700 })
      for (const name of readdirSync(top)) if (!isOthers(name)) removeLater(top, name)
      mkdirSync(this.#directory, { mode: 0o700 })
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

/** Of tens of thousands of files a removal takes longer than a worker may to be back: the name is free at once, the rest goes beside it. */
function removeLater(top: string, name: string): void {
  const gone = path.join(top, `gone-${randomUUID()}`)
  try {
    renameSync(path.join(top, name), gone)
  } catch {
    // Another worker that starts was first.
    return
  }
  void rm(gone, { recursive: true, force: true }).catch(() => {})
}

/** Whether a directory belongs to another process that lives: an older worker that drains while this one begins. */
function isOthers(name: string): boolean {
  const pid = Number(name)
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
