import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Header, type Pack, pack as tarPack } from 'tar-stream'
import { AppError } from '@/shared/errors'
import { listFiles, type SourceEntry } from './source-files'

export interface PackedSource {
  /** A tar.gz in its own temporary directory. */
  file: string
  digest: string
  fileCount: number
  /** Total size of the unpacked files. */
  sizeBytes: number
  archiveBytes: number
  /** Skipped items that no ignore rule matches (sockets, devices). */
  warnings: string[]
  dispose(): Promise<void>
}

/** Files up to this size are read at once; larger files are streamed. */
const wholeFileBytes = 1024 * 1024

/**
 * Packs a folder for the upload. The same files give the same bytes: sorted, without owner and time, modes reduced to
 * "executable or not" as Git does.
 * @throws AppError ERR_SOURCE when the folder is empty or a symlink leads out of it.
 */
export async function packFolder(directory: string, signal?: AbortSignal): Promise<PackedSource> {
  const { entries, warnings } = await listFiles(directory)
  if (!entries.some((entry) => entry.kind === 'file'))
    throw new AppError('ERR_SOURCE', `There is nothing to deploy in ${directory}.`, {
      nextAction: 'Name the folder of your app (switchyard deploy path/to/app), and look at its .gitignore and .switchyardignore.',
    })
  const work = await mkdtemp(path.join(tmpdir(), 'switchyard-pack-'))
  const dispose = () => rm(work, { recursive: true, force: true })
  try {
    const file = path.join(work, 'source.tar.gz')
    const archive = await writeArchive(directory, entries, file, signal)
    const sizeBytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0), 0)
    return { file, ...archive, fileCount: entries.length, sizeBytes, warnings, dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function writeArchive(
  directory: string,
  entries: SourceEntry[],
  file: string,
  signal?: AbortSignal,
): Promise<{ digest: string; archiveBytes: number }> {
  const tar = tarPack()
  const hash = createHash('sha256')
  let archiveBytes = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      archiveBytes += chunk.length
      done(null, chunk)
    },
  })
  const written = pipeline(tar, createGzip({ level: 6 }), measure, createWriteStream(file, { mode: 0o600, flags: 'wx' }), { signal })
  // A failure while filling ends the pipeline, and vice versa: report the first error.
  const filled = fill(tar, directory, entries).catch((error: unknown) => {
    tar.destroy(error as Error)
    throw error
  })
  const [fillResult, writeResult] = await Promise.allSettled([filled, written])
  if (fillResult.status === 'rejected') throw fillResult.reason
  if (writeResult.status === 'rejected') throw writeResult.reason
  return { digest: `sha256:${hash.digest('hex')}`, archiveBytes }
}

async function fill(tar: Pack, directory: string, entries: SourceEntry[]): Promise<void> {
  for (const entry of entries) {
    const common = { name: entry.path, mtime: new Date(0), uid: 0, gid: 0 }
    if (entry.kind === 'symlink') await put(tar, { ...common, type: 'symlink', linkname: entry.target, mode: 0o777 })
    else await putFile(tar, path.join(directory, entry.path), { ...common, type: 'file', mode: entry.executable ? 0o755 : 0o644 })
  }
  tar.finalize()
}

async function putFile(tar: Pack, file: string, header: Partial<Header> & { name: string }): Promise<void> {
  const { size } = await lstat(file)
  // Read small files at once: the size in the header matches the data even if the file is being written.
  if (size <= wholeFileBytes) return put(tar, header, await readFile(file))
  const entry = tar.entry({ ...header, size })
  try {
    await pipeline(createReadStream(file, { end: size - 1 }), entry)
  } catch (cause) {
    throw new AppError('ERR_SOURCE', `${header.name} changed while it was packed.`, {
      cause,
      nextAction: 'Wait until nothing writes there, then deploy again.',
    })
  }
}

/** Settles once the archive has taken the entry, so that only one file at a time is in memory. */
function put(tar: Pack, header: Partial<Header> & { name: string }, content?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry = tar.entry(content ? { ...header, size: content.length } : header, (error) => (error ? reject(error) : resolve()))
    if (content) entry.end(content)
  })
}
