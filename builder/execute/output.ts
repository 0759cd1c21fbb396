import { constants } from 'node:fs'
import { type FileHandle, lchown, mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import type { TreeOwner } from './sync'

const streams = ['stdout', 'stderr'] as const
type Stream = (typeof streams)[number]
type Listener = (stream: Stream, chunk: Uint8Array) => void

const lookEveryMs = 50
const chunkBytes = 64 * 1024

/**
 * Output of the commands of a build, in two files that are read while they grow. With a pipe or socket, output could be lost: Node writes
 * asynchronously, and `process.exit` drops unread data. The size of the files is limited like the log.
 */
export interface BuildOutput {
  /** Directory of the files `stdout` and `stderr`. */
  directory: string
  onChunk(listener: Listener): void
  /** Reads both files to their end; call after a command has ended. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface OutputBound {
  /** Maximum bytes that are read of a file. */
  maxBytes: number
  /** Called when a file exceeds the maximum, because writers are not slowed down otherwise. */
  onFlood(): void
}

/** Creates both files, writable for the build's user; the directory stays ours. */
export async function openOutput(directory: string, owner: TreeOwner | null, bound: OutputBound): Promise<BuildOutput> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o711 })
  const files = await Promise.all(
    streams.map(async (stream) => {
      const file = path.join(directory, stream)
      // Keep the file open: the build may rename or replace it.
      const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
      if (owner) await lchown(file, owner.uid, owner.gid)
      return { stream, handle, position: 0 }
    }),
  )
  let listener: Listener = () => {}
  let turn: Promise<void> = Promise.resolve()
  let closed = false
  const look = async () => {
    for (const file of files) {
      const { size } = await file.handle.stat()
      file.position = await readOn(file.handle, file.position, Math.min(size, bound.maxBytes), (chunk) => listener(file.stream, chunk))
    }
  }
  const next = () => {
    // A failed read is repeated next time; `drain` reports the last failure.
    turn = turn.catch(() => {}).then(() => (closed ? undefined : look()))
    return turn
  }
  /** Check the size between pieces too: a writer can be much faster than the reader. */
  const measure = async () => {
    for (const { handle } of files) if ((await handle.stat()).size > bound.maxBytes) bound.onFlood()
  }
  let looking = false
  const timer = setInterval(() => {
    void measure().catch(() => {})
    if (looking) return
    looking = true
    next()
      .catch(() => {})
      .finally(() => {
        looking = false
      })
  }, lookEveryMs)
  timer.unref()
  return {
    directory,
    onChunk(given) {
      listener = given
    },
    drain: next,
    async close() {
      closed = true
      clearInterval(timer)
      await turn.catch(() => {})
      for (const { handle } of files) await handle.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function readOn(handle: FileHandle, from: number, to: number, onChunk: (chunk: Uint8Array) => void): Promise<number> {
  let position = from
  while (position < to) {
    const length = Math.min(chunkBytes, to - position)
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
    if (bytesRead === 0) break
    position += bytesRead
    onChunk(buffer.subarray(0, bytesRead))
  }
  return position
}
