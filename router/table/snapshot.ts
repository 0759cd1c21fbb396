import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, link, mkdir, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { emptyRouteTable, type RouteTable } from '@/shared/route-table'
import { type CheckedTable, checkTable, supersedes } from './schema'

const format = 1

export interface LoadedTable extends CheckedTable {
  from: 'current' | 'previous' | 'empty'
  /** Why better files were passed over, for the log. */
  problems: string[]
}

/** First line: format, checksum and length of the rest; then the table. A file cut or changed at any byte is recognised. */
function encode(table: RouteTable): string {
  const body = JSON.stringify(table)
  const header = { format, version: table.version, generatedAt: table.generatedAt, bytes: Buffer.byteLength(body), sha256: sha256(body) }
  return `${JSON.stringify(header)}\n${body}`
}

/** @throws Error when the file is not exactly what `encode` wrote. */
export function decodeSnapshot(content: Buffer): CheckedTable {
  const end = content.indexOf(10)
  if (end === -1) throw new Error('no header line')
  const header: unknown = JSON.parse(content.subarray(0, end).toString('utf8'))
  if (typeof header !== 'object' || header === null || !('format' in header) || header.format !== format) throw new Error('unknown format')
  const body = content.subarray(end + 1)
  if (!('bytes' in header) || header.bytes !== body.length) throw new Error('cut short')
  if (!('sha256' in header) || header.sha256 !== sha256(body)) throw new Error('the checksum does not match')
  return checkTable(JSON.parse(body.toString('utf8')))
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The table on disk: `route-table.json` and, beside it, the one before. */
export class SnapshotStore {
  readonly file: string
  readonly previous: string

  constructor(runDirectory: string) {
    this.file = path.join(runDirectory, 'route-table.json')
    this.previous = path.join(runDirectory, 'route-table.previous.json')
  }

  /** The best table there is: the current file, the previous one, or the empty table. Never throws: the router must start. */
  load(): LoadedTable {
    const problems: string[] = []
    for (const [from, file] of [['current', this.file] as const, ['previous', this.previous] as const])
      try {
        return { ...decodeSnapshot(readFileSync(file)), from, problems }
      } catch (error) {
        problems.push(`${path.basename(file)}: ${error instanceof Error ? error.message : String(error)}`)
      }
    return { ...checkTable(emptyRouteTable), from: 'empty', problems }
  }

  /**
   * Writes `table` unless the file already holds it or a newer one. All workers write the same files, so every step is safe to
   * interleave: the current file is replaced by rename and never missing, and only a whole current file becomes the previous one.
   */
  async save(table: RouteTable): Promise<'written' | 'kept'> {
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 })
    const onDisk = await this.#readValid(this.file)
    if (onDisk && !supersedes(table, onDisk)) return 'kept'
    if (onDisk) await this.#keepPrevious()
    await writeFileAtomic(this.file, encode(table))
    return 'written'
  }

  async #readValid(file: string): Promise<RouteTable | null> {
    try {
      return decodeSnapshot(await readFile(file)).table
    } catch {
      // Missing or broken: to be replaced either way.
      return null
    }
  }

  async #keepPrevious(): Promise<void> {
    const temp = `${this.previous}.${randomBytes(6).toString('hex')}.tmp`
    try {
      // A second name for the same file: nothing is copied, and the rename below swaps it in whole.
      await link(this.file, temp).catch(() => copyFile(this.file, temp))
      await rename(temp, this.previous)
    } finally {
      await rm(temp, { force: true })
    }
  }
}
