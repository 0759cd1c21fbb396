import { createHash } from 'node:crypto'
import { mkdtemp, open, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { exec } from '@/shared/node/exec'

/** A file system of its own that a test may fill. Mounting needs root. */
export async function mountSmallDisk(megabytes: number) {
  const directory = await mkdtemp(path.join(tmpdir(), 'sy-disk-'))
  const mounted = await exec(['mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0711`, 'tmpfs', directory], { deadlineMs: 10_000 })
  if (mounted.code !== 0) throw new Error(`mount: ${mounted.stderr}`)
  const filler = path.join(directory, `filler-${createHash('sha256').update(directory).digest('hex').slice(0, 6)}`)
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(directory)
    return bavail * bsize
  }
  return {
    directory,
    freeBytes,
    /** Takes all but `leaveBytes` from outside of the platform; 0 is to the last byte. */
    async fill(leaveBytes = 0): Promise<void> {
      const handle = await open(filler, 'a')
      try {
        const block = Buffer.alloc(64 * 1024, 1)
        for (;;) {
          const free = (await freeBytes()) - leaveBytes
          if (free <= 0) return
          await handle.write(block, 0, Math.min(block.length, free))
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        await handle.close()
      }
    },
    release: () => rm(filler, { force: true }),
    async remove(): Promise<void> {
      await exec(['umount', '-l', directory], { deadlineMs: 10_000 })
      await rm(directory, { recursive: true, force: true })
    },
  }
}
