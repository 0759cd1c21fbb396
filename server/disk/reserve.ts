import { open, rm, stat } from 'node:fs/promises'
import path from 'node:path'

const chunkBytes = 1024 * 1024

/** A placeholder file. Deleting it on a full disk lets Postgres keep writing until the operator frees space. */
export interface Reserve {
  isThere(): Promise<boolean>
  take(): Promise<void>
  giveUp(): Promise<void>
}

export function createReserve(home: string, sizeBytes: number): Reserve {
  const file = path.join(home, 'reserve')
  const giveUp = () => rm(file, { force: true })
  return {
    isThere: async () => ((await stat(file).catch(() => null))?.size ?? 0) >= sizeBytes,
    async take() {
      const handle = await open(file, 'w', 0o600)
      try {
        // Write non-zero bytes: a sparse file would reserve no blocks.
        const chunk = Buffer.alloc(chunkBytes, 1)
        for (let written = 0; written < sizeBytes; written += chunkBytes) await handle.write(chunk, 0, Math.min(chunkBytes, sizeBytes - written))
        await handle.sync()
      } catch (error) {
        await giveUp()
        throw error
      } finally {
        await handle.close()
      }
    },
    giveUp,
  }
}
