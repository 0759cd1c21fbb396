import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

/**
 * Payloads that do not fit in memory, in a directory of this process. The index of the files is in memory only, so directories of ended
 * processes are removed at the start. Files are written to a temporary name and renamed; a read of unexpected length counts as missing.
 */
export class DiskTier {
  readonly #directory: string
  #next = 0
  /** After a disk error the disk tier stays off until the process restarts. */
  #broken = false

  /** @param top parent directory, shared by all workers */
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

  /** Writes a payload and returns the name to read it by. null: it could not be written. */
  async put(body: Buffer): Promise<string | null> {
    if (this.#broken) return null
    const file = path.join(this.#directory, String(this.#next++))
    try {
      await writeFile(`${file}.tmp`, body, { mode: 0o600, flag: 'wx' })
      await rename(`${file}.tmp`, file)
      return file
    } catch {
      // Disk full or directory missing: continue without the disk tier.
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

/** Deleting tens of thousands of files can exceed a worker's restart budget: rename the directory now, delete it in the background. */
function removeLater(top: string, name: string): void {
  const gone = path.join(top, `gone-${randomUUID()}`)
  try {
    renameSync(path.join(top, name), gone)
  } catch {
    // Another worker renamed the directory first.
    return
  }
  void rm(gone, { recursive: true, force: true }).catch(() => {})
}

/** Whether a directory belongs to another running process, such as an older worker that still drains. */
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
