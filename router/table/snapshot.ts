import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { LineReader } from '@/shared/node/frames'
import { emptyRouteTable, type TableHead } from '@/shared/route-table'
import { HostTable } from '../match/host-table'
import { type BuiltTable, TableBuilder } from './builder'
import type { TableCopy } from './copy'
import { checkHead, supersedes } from './schema'

const format = 2
/** Line limit: a damaged file may consist of one long line. */
const maxLineBytes = 1024 * 1024 * 1024
/** Bytes verified per turn: a fraction of a millisecond. */
const readAtOnce = 256 * 1024

export interface LoadedTable extends BuiltTable {
  from: 'current' | 'previous' | 'empty'
  /** Why newer files were rejected, for the log. */
  problems: string[]
}

type Identity = Pick<TableHead, 'version' | 'generatedAt'>

interface Header {
  format: typeof format
  bytes: number
  sha256: string
}

/** First line: format, checksum and length of the rest; then the messages of the table, one per line. */
const headerLine = ({ size, sha256 }: TableCopy): Buffer => Buffer.from(`${JSON.stringify({ format, bytes: size, sha256 })}\n`)

/** @throws Error for an invalid header. */
function readHeader(line: Buffer): Header {
  const header: unknown = JSON.parse(line.toString('utf8'))
  if (typeof header !== 'object' || header === null || !('format' in header) || header.format !== format) throw new Error('unknown format')
  return header as Header
}

/** @throws Error when the file was truncated or modified: the checksum must match. */
export function decodeSnapshot(content: Buffer): BuiltTable {
  const end = content.indexOf(10)
  if (end === -1) throw new Error('no header line')
  const header = readHeader(content.subarray(0, end))
  const body = content.subarray(end + 1)
  if (header.bytes !== body.length) throw new Error('cut short')
  if (header.sha256 !== createHash('sha256').update(body).digest('hex')) throw new Error('the checksum does not match')
  return decodeLines(body)
}

function decodeLines(body: Buffer): BuiltTable {
  let builder: TableBuilder | undefined
  for (const line of new LineReader(maxLineBytes).take(body)) {
    if (builder) builder.add(line)
    else {
      const { head, parts } = JSON.parse(line.toString('utf8'))
      builder = new TableBuilder(checkHead(head), parts, null)
    }
  }
  if (!builder) throw new Error('there is no table in it')
  return builder.finish()
}

/** Version and date of a valid file; null: missing or damaged. Reads in pieces and decodes only the beginning. */
async function verify(file: string): Promise<Identity | null> {
  const handle = await open(file).catch(() => null)
  if (handle === null) return null
  try {
    return await verifyOpen(handle)
  } catch {
    // Treat as missing: the file will be replaced.
    return null
  } finally {
    await handle.close()
  }
}

async function verifyOpen(handle: FileHandle): Promise<Identity | null> {
  const hash = createHash('sha256')
  const lines = new LineReader(maxLineBytes)
  const buffer = Buffer.allocUnsafe(readAtOnce)
  let header: { says: Header; length: number } | undefined
  let identity: Identity | undefined
  let read = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, read)
    if (bytesRead === 0) break
    const piece = buffer.subarray(0, bytesRead)
    if (!identity)
      for (const line of lines.take(piece)) {
        if (header) identity ??= checkHead(JSON.parse(line.toString('utf8')).head)
        else header = { says: readHeader(line), length: line.length }
        if (identity) break
      }
    if (header) hash.update(piece.subarray(Math.max(0, header.length - read)))
    read += bytesRead
  }
  const whole = header && header.says.bytes === read - header.length && header.says.sha256 === hash.digest('hex')
  return whole && identity ? identity : null
}

/** The table on disk: `route-table.json` and the previous version. */
export class SnapshotStore {
  readonly file: string
  readonly previous: string

  constructor(runDirectory: string) {
    this.file = path.join(runDirectory, 'route-table.json')
    this.previous = path.join(runDirectory, 'route-table.previous.json')
  }

  /** The best available table: the current file, the previous file, or the empty table. Never throws: the router must start. */
  load(): LoadedTable {
    const problems: string[] = []
    for (const [from, file] of [['current', this.file] as const, ['previous', this.previous] as const])
      try {
        return { ...decodeSnapshot(readFileSync(file)), from, problems }
      } catch (error) {
        problems.push(`${path.basename(file)}: ${error instanceof Error ? error.message : String(error)}`)
      }
    return { hosts: new HostTable(emptyRouteTable), parts: new Map(), from: 'empty', problems }
  }

  /**
   * Writes a table unless the file already holds it or a newer one. All workers write the same files, so every step is safe to
   * interleave: the current file is replaced by rename and never missing, and only a whole current file becomes the previous one.
   */
  async save(copy: TableCopy): Promise<'written' | 'kept'> {
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 })
    const onDisk = await verify(this.file)
    if (onDisk && !supersedes(copy, onDisk)) return 'kept'
    if (onDisk) await this.#keepPrevious()
    await writeFileAtomic(this.file, [headerLine(copy), ...copy.lines])
    return 'written'
  }

  async #keepPrevious(): Promise<void> {
    const temp = `${this.previous}.${randomBytes(6).toString('hex')}.tmp`
    try {
      // A hard link avoids copying; the rename below replaces the previous file atomically.
      await link(this.file, temp).catch(() => copyFile(this.file, temp))
      await rename(temp, this.previous)
    } finally {
      await rm(temp, { force: true })
    }
  }
}
