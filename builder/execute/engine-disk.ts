import { stat } from 'node:fs/promises'
import { type Engine, engineCall } from '@/builder/engine'

const deadlineMs = 10_000
const pruneDeadlineMs = 5 * 60_000
const usageDeadlineMs = 30_000

interface Dialer {
  dial(options: object, callback: (error: Error | null, answer: unknown) => void): void
}

/** Returns the engine's storage directory, cached. Empty: not a directory of this machine. */
export function createEngineDirectory(engine: Engine | null): () => Promise<string[]> {
  let known: string[] | null = null
  return async () => {
    if (!engine || known) return known ?? []
    const info = await engineCall('asking where it keeps images', deadlineMs, () => engine.info()).catch(() => null)
    if (!info) return []
    const directory = String(info.DockerRootDir ?? '')
    known = await stat(directory).then(
      () => [directory],
      () => [],
    )
    return known
  }
}

/** Reduces BuildKit's cache to `keepBytes`. Returns the freed bytes. */
export async function pruneEngineCache(engine: Engine, keepBytes: number): Promise<number> {
  const options = { path: `/build/prune?all=1&keep-storage=${keepBytes}`, method: 'POST', statusCodes: { 200: true, 500: 'server error' } }
  const answer = await engineCall(
    'pruning the build cache',
    pruneDeadlineMs,
    () =>
      new Promise<{ SpaceReclaimed?: number }>((resolve, reject) => {
        ;(engine.modem as unknown as Dialer).dial(options, (error, body) =>
          error ? reject(error) : resolve((body ?? {}) as { SpaceReclaimed?: number }),
        )
      }),
  )
  return answer.SpaceReclaimed ?? 0
}

/** Disk usage of all images and build caches of the engine, including those of other programs. */
export async function engineUsage(engine: Engine): Promise<{ what: string; sizeBytes: number }[]> {
  const usage = (await engineCall('measuring its disk', usageDeadlineMs, () => engine.df()).catch(() => null)) as {
    LayersSize?: number
    BuildCache?: { Size: number }[]
  } | null
  if (!usage) return []
  return [
    { what: 'images of the container engine', sizeBytes: usage.LayersSize ?? 0 },
    { what: 'cache of Dockerfile builds', sizeBytes: (usage.BuildCache ?? []).reduce((sum, { Size }) => sum + Size, 0) },
  ]
}
