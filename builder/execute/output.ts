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
 * What the commands of a build print goes to two files, which are read while they grow. A pipe or a socket would lose the end: Node
 * writes to them without waiting, and `process.exit` drops what its reader has not taken yet. What bounds the files is the bound of the log.
 */
export interface BuildOutput {
  /** Holds `stdout` and `stderr`. */
  directory: string
  onChunk(listener: Listener): void
  /** Reads to the end of both files: once a command has ended, all that it printed. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface OutputBound {
  /** Nothing of a file is read beyond this. */
  maxBytes: number
  /** Called when a file has grown past it: nothing else holds a writer back. */
  onFlood(): void
}

/** Makes both files anew, writable for the build's user; the directory itself stays ours. */
export async function openOutput(directory: string, owner: TreeOwner | null, bound: OutputBound): Promise<BuildOutput> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true, mode: 0o711 })
  const files = await Promise.all(
    streams.map(async (stream) => {
      const file = path.join(directory, stream)
      // Kept open from before the build runs: whatever it does to the name, this file is read.
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
    // A read that fails now is tried at the next look; the last look, by `drain`, reports it.
    turn = turn.catch(() => {}).then(() => (closed ? undefined : look()))
    return turn
  }
  /** Between the pieces that are being read, too: a writer may be a hundred times as fast as we are. */
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
