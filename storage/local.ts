import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { diskFullError, isDiskFull } from '@/shared/node/disk'
import type { BlobStore } from './blob-store'

const digestPattern = /^sha256:[0-9a-f]{64}$/

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Disk full and the like, said in a way the operator can act on. */
const diskError = (error: unknown): unknown => (isDiskFull(error) ? diskFullError('The upload or artifact could not be stored', error) : error)

/** Writes all of `content` to `handle`, hashing on the way. */
async function pour(content: AsyncIterable<Uint8Array>, handle: FileHandle, maxBytes: number): Promise<{ digest: string; sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of content) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > maxBytes)
      throw new AppError('ERR_TOO_LARGE', `The upload is larger than the ${maxBytes} bytes allowed`, {
        nextAction: 'Leave out what the build does not need (.switchyardignore), or raise the limit.',
      })
    hash.update(chunk)
    let written = 0
    while (written < chunk.byteLength) written += (await handle.write(chunk, written)).bytesWritten
  }
  await handle.sync()
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

/**
 * Blobs on a local disk: `<directory>/sha256/ab/cd/<digest>`, sharded so that no directory grows without bound. Incoming bytes live
 * in `<directory>/incoming` on the same file system, and reach their name by rename once they are on the disk.
 */
export function createLocalStore(directory: string): BlobStore {
  const incoming = path.join(directory, 'incoming')

  function locate(digest: string): string {
    if (!digestPattern.test(digest)) throw new AppError('ERR_INVALID_INPUT', 'A blob is named sha256: and 64 hex digits')
    const hex = digest.slice('sha256:'.length)
    return path.join(directory, 'sha256', hex.slice(0, 2), hex.slice(2, 4), hex)
  }

  async function find(digest: string): Promise<{ sizeBytes: number } | null> {
    try {
      return { sizeBytes: (await stat(locate(digest))).size }
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async function adopt(temp: string, digest: string): Promise<void> {
    if (await find(digest)) return rm(temp, { force: true })
    const file = locate(digest)
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    await rename(temp, file)
    await syncDirectory(path.dirname(file))
  }

  return {
    async put(content, options = {}) {
      await mkdir(incoming, { recursive: true, mode: 0o700 })
      const temp = path.join(incoming, randomBytes(12).toString('hex'))
      try {
        const handle = await open(temp, 'wx', 0o600)
        let stored: { digest: string; sizeBytes: number }
        try {
          stored = await pour(content, handle, options.maxBytes ?? Number.POSITIVE_INFINITY)
        } finally {
          await handle.close()
        }
        if (options.expectDigest !== undefined && options.expectDigest !== stored.digest)
          throw new AppError(
            'ERR_INVALID_INPUT',
            `The bytes do not match their digest: expected ${options.expectDigest}, received ${stored.digest}`,
            { nextAction: 'Send them again.' },
          )
        await adopt(temp, stored.digest)
        return stored
      } catch (error) {
        await rm(temp, { force: true })
        throw diskError(error)
      }
    },

    async get(digest) {
      const file = locate(digest)
      try {
        const handle = await open(file, 'r')
        return createReadStream(file, { fd: handle })
      } catch (error) {
        if (isMissing(error)) throw new AppError('ERR_NOT_FOUND', `No blob ${digest} is stored`, { cause: error })
        throw error
      }
    },

    stat: find,

    async remove(digest) {
      await rm(locate(digest), { force: true })
    },
  }
}
