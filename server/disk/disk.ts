import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { ManagedBuilder } from '@/builder'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { type DiskSpace, diskFullError, diskSpace, isLow, isTight, showSize } from '@/shared/node/disk'
import type { StorageView } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import { createReserve } from './reserve'
import { removeOldUploads } from './uploads'

/** Limits of the platform's own disk usage. */
export interface DiskLimits {
  buildCacheBytes: number
  buildCacheDays: number
  engineCacheBytes: number
  uploadDays: number
  /** Bytes reserved for Postgres. */
  reserveBytes: number
}

/** Monitors the installation's disks, cleans up beyond the limits, and reports a full disk as the cause of failures. */
export interface Disk {
  /** Starts monitoring and clean-up; call in the worker process only. */
  start(): { stop(): void }
  /** A sentence when there is too little space; null: enough. */
  problem(): string | null
  /** @throws AppError ERR_UNAVAILABLE when there is too little space to start `what` */
  refuseWhenTight(what: string): Promise<void>
  health(): { ok: boolean; detail: string }
  view(): Promise<StorageView>
}

interface DiskDeps {
  home: string
  pool: Pool
  storage: BlobStore
  builder: Pick<ManagedBuilder, 'evict' | 'usage' | 'engineDirectory'>
  limits: DiskLimits
  logger: Logger
}

type Place = DiskSpace & { what: string; directory: string }

const lookEveryMs = 1_000
const tidyEveryMs = 3_600_000
const pressedTidyEveryMs = 30_000
const keptRecords = 100
const usageFreshMs = 30_000
const dayMs = 24 * 3_600_000

const records = z.array(z.object({ at: z.string(), what: z.string(), projectId: z.string().nullable(), sizeBytes: z.number(), reason: z.string() }))
type FreedRecord = z.infer<typeof records>[number]

export function createDisk(deps: DiskDeps): Disk {
  const { home, logger, limits } = deps
  const recordFile = path.join(home, 'freed.json')
  let places: Place[] = []
  let usage: { at: number; value: Promise<StorageView['usage']> } | null = null
  let tidying = false
  let tidiedAt = 0

  const look = async (): Promise<Place[]> => {
    const engine = await deps.builder.engineDirectory()
    const wanted = [{ what: 'Switchyard', directory: home }, ...engine.map((directory) => ({ what: 'container engine', directory }))]
    places = await Promise.all(wanted.map(async (place) => ({ ...place, ...(await diskSpace(place.directory)) })))
    return places
  }
  const problem = (): string | null => {
    const short = places.find(isTight)
    if (!short) return null
    return `the disk of this machine is ${short.freeBytes === 0 ? 'full' : 'nearly full'}: ${showSize(short.freeBytes)} of ${showSize(short.totalBytes)} free at ${short.directory}`
  }
  const isPressed = async () => (await look()).some(isTight)

  const tidy = async (reason: string) => {
    tidiedAt = Date.now()
    const freed: FreedRecord[] = []
    const note = (what: string, projectId: string | null, sizeBytes: number) =>
      void freed.push({ at: new Date().toISOString(), what, projectId, sizeBytes, reason })
    const caches = await deps.builder
      .evict({
        maxBytes: limits.buildCacheBytes,
        maxAgeMs: limits.buildCacheDays * dayMs,
        engineCacheBytes: limits.engineCacheBytes,
        nodesInUse: await nodesInUse(deps.pool),
        isPressed,
      })
      .catch((error) => {
        logger.warn({ err: error }, 'caches of builds were not tidied up; trying again')
        return []
      })
    for (const each of caches) note(each.what, each.projectId, each.sizeBytes)
    const uploads = await removeOldUploads(deps, limits.uploadDays * dayMs).catch((error) => {
      logger.warn({ err: error }, 'old uploads were not removed; trying again')
      return { count: 0, sizeBytes: 0 }
    })
    if (uploads.count > 0) note(`${uploads.count} uploads`, null, uploads.sizeBytes)
    if (freed.length === 0) return
    usage = null
    logger.info({ reason, freed }, 'space was freed')
    const before = await readRecords(recordFile)
    await writeFileAtomic(recordFile, JSON.stringify([...freed.reverse(), ...before].slice(0, keptRecords)))
  }
  const tidyOnce = (reason: string): void => {
    if (tidying) return
    tidying = true
    void tidy(reason)
      .catch((error) => logger.warn({ err: error }, 'what was freed is not on record'))
      .finally(() => {
        tidying = false
      })
  }

  return {
    start() {
      let reported: string | null = null
      const own = createOwnReserve(home, limits.reserveBytes, logger)
      const round = async () => {
        const [space] = await look()
        const now = problem()
        const begins = now !== null && reported === null
        if ((now === null) !== (reported === null)) logger.warn({ disk: places }, now ?? 'there is enough space on the disk again')
        reported = now
        if (space) await own.keep(space)
        if (begins || (now && Date.now() - tidiedAt > pressedTidyEveryMs)) tidyOnce('the disk was nearly full')
        else if (Date.now() - tidiedAt > tidyEveryMs) tidyOnce('limits')
      }
      let running = false
      const timer = setInterval(() => {
        if (running) return
        running = true
        void round()
          .catch((error) => logger.warn({ err: error }, 'the disk cannot be looked at'))
          .finally(() => {
            running = false
          })
      }, lookEveryMs)
      timer.unref()
      return { stop: () => clearInterval(timer) }
    },
    problem,
    async refuseWhenTight(what) {
      if (await isPressed()) throw diskFullError(what)
    },
    health() {
      const detail = places.map((place) => `${place.what}: ${showSize(place.freeBytes)} of ${showSize(place.totalBytes)} free`).join(', ')
      const reason = problem()
      return reason ? { ok: false, detail: `${reason}; builds and uploads are refused, apps keep serving` } : { ok: true, detail }
    },
    async view() {
      if (!usage || Date.now() - usage.at > usageFreshMs) usage = { at: Date.now(), value: readUsage(deps) }
      const [seen, uses, freed] = await Promise.all([look(), usage.value, readRecords(recordFile)])
      return {
        disks: seen.map((place) => ({ ...place, low: isTight(place) })),
        usage: uses,
        limits: [
          { what: 'build caches', sizeBytes: limits.buildCacheBytes, days: limits.buildCacheDays },
          { what: 'cache of Dockerfile builds', sizeBytes: limits.engineCacheBytes, days: null },
          { what: 'uploads', sizeBytes: null, days: limits.uploadDays },
          { what: 'reserve for the database', sizeBytes: limits.reserveBytes, days: null },
        ],
        freed,
      }
    },
  }
}

/** The reserve file: released when the disk is low, created again when space is plentiful. */
function createOwnReserve(home: string, wantedBytes: number, logger: Logger) {
  let reserve: ReturnType<typeof createReserve> | null = null
  return {
    async keep(space: DiskSpace): Promise<void> {
      // At most 2 % of the disk, so that the reserve cannot fill a small disk.
      reserve ??= createReserve(home, Math.min(wantedBytes, Math.floor(space.totalBytes * 0.02)))
      if (isLow(space)) {
        if (!(await reserve.isThere())) return
        await reserve.giveUp()
        logger.warn('the reserve on the disk was given up, so that the database can write')
      } else if (!isTight({ ...space, freeBytes: space.freeBytes - 2 * wantedBytes }) && !(await reserve.isThere())) await reserve.take()
    },
  }
}

async function readRecords(file: string): Promise<FreedRecord[]> {
  try {
    return records.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return []
  }
}

/** Node versions that an existing release may need. */
async function nodesInUse(pool: Pool): Promise<string[]> {
  const found = await pool.query<{ version: string }>(
    `SELECT DISTINCT "metadata"->>'nodeVersion' AS version FROM "Artifact" WHERE "removedAt" IS NULL AND "metadata"->>'nodeVersion' IS NOT NULL`,
  )
  return found.rows.map(({ version }) => version)
}

async function readUsage(deps: DiskDeps): Promise<StorageView['usage']> {
  const [caches, database, uploads, bundles] = await Promise.all([
    deps.builder.usage(),
    deps.pool.query<{ size: string }>('SELECT pg_database_size(current_database()) AS size'),
    deps.pool.query<{ size: string }>('SELECT COALESCE(sum("sizeBytes"), 0) AS size FROM "Upload"'),
    deps.pool.query<{ size: string }>(`SELECT COALESCE(sum("sizeBytes"), 0) AS size FROM "Artifact" WHERE "kind" = 'bundle' AND "removedAt" IS NULL`),
  ])
  const sized = (what: string, result: { rows: { size: string }[] }) => ({ what, sizeBytes: Number(result.rows[0]?.size ?? 0) })
  return [...caches, sized('uploads', uploads), sized('bundles of releases', bundles), sized('database', database)]
}
