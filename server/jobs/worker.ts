import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { isAppError } from '@/shared/errors'
import type { ChangeBus } from '../events/bus'
import { type JobKind, type JobPayload, jobCatalogue } from './catalogue'
import { type ClaimedJob, claim, dueInMs, finish, type Lane, leaseSeconds, renew } from './queue'

export interface JobContext {
  attempt: number
  lastAttempt: boolean
  /** Aborted when the lease is lost or the process stops: the job must end without writing. */
  signal: AbortSignal
}
export type JobHandlers = { [K in JobKind]: (payload: JobPayload<K>, context: JobContext) => Promise<void> }

export interface Worker {
  /** Claims no more jobs and interrupts running jobs; their leases remain for the next process to take over. */
  stop(): Promise<void>
}

/** Poll interval while a job waits for another job, and while the change bus is disconnected. */
const idlePollMs = 2_000
/** Longest wait between polls: bounds the delay of a job whose notification was lost. */
const longestIdleMs = 15_000
const retryBaseMs = 1_000
const kinds = Object.keys(jobCatalogue) as JobKind[]
/** A team may use at most three quarters of a lane while other teams wait. */
const shareOf = (concurrency: number): number => Math.max(1, Math.floor(concurrency * 0.75))

/**
 * Runs up to `concurrency` jobs of each kind in parallel, each under a lease that is renewed while the job runs. Kinds never wait for each
 * other.
 */
export function startWorker(options: {
  pool: Pool
  bus: ChangeBus
  owner: string
  handlers: JobHandlers
  concurrency: Readonly<Record<JobKind, number>>
  logger: Logger
}): Worker {
  const { pool, bus, owner, handlers, concurrency, logger } = options
  const stopping = new AbortController()
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> | undefined

  const busy = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<JobKind, number>
  const openLanes = (): Lane[] => kinds.filter((kind) => busy[kind] < concurrency[kind]).map((kind) => ({ kind, share: shareOf(concurrency[kind]) }))

  async function look(): Promise<void> {
    for (let lanes = openLanes(); lanes.length > 0 && !stopping.signal.aborted; lanes = openLanes()) {
      const job = await claim(pool, owner, lanes)
      if (!job) return
      busy[job.kind]++
      const work = runOne(job).finally(() => {
        running.delete(work)
        busy[job.kind]--
        wake()
      })
      running.add(work)
    }
  }
  let again = false
  function wake(): void {
    if (stopping.signal.aborted) return
    if (looking) {
      again = true
      return
    }
    clearTimeout(timer)
    looking = look()
      .then(() => dueInMs(pool))
      .catch((error) => {
        logger.warn({ err: error }, 'jobs: cannot claim, trying again')
        return 0
      })
      .then((dueMs) => {
        looking = undefined
        if (again) {
          again = false
          wake()
        } else sleepUntil(performance.now() + (dueMs > 0 ? Math.min(dueMs, longestIdleMs) : idlePollMs))
      })
  }
  function sleepUntil(at: number): void {
    if (stopping.signal.aborted) return
    const ms = Math.ceil(at - performance.now())
    timer = setTimeout(() => (ms <= idlePollMs || !bus.isListening() ? wake() : sleepUntil(at)), Math.min(Math.max(ms, 0), idlePollMs))
  }

  async function runOne(job: ClaimedJob): Promise<void> {
    const lost = new AbortController()
    const signal = AbortSignal.any([stopping.signal, lost.signal])
    const heartbeat = setInterval(
      () =>
        renew(pool, job.id, owner).then(
          (held) => held || lost.abort(new Error('lease lost')),
          (error) => logger.warn({ err: error, job: job.id }, 'jobs: heartbeat failed'),
        ),
      (leaseSeconds * 1000) / 4,
    )
    const log = logger.child({ job: job.id, kind: job.kind, attempt: job.attempts })
    try {
      const handler = handlers[job.kind] as (payload: unknown, context: JobContext) => Promise<void>
      await handler(jobCatalogue[job.kind].payload.parse(job.payload), {
        attempt: job.attempts,
        lastAttempt: job.attempts >= job.maxAttempts,
        signal,
      })
      if (!signal.aborted) await finish(pool, job, owner, {})
    } catch (error) {
      if (signal.aborted) log.warn('interrupted; the next worker takes it over')
      else {
        log.error({ err: error }, 'job failed')
        // Store only the error code: the message may contain app output or secrets, and is in the log line above.
        const reason = isAppError(error) ? error.code : `unexpected ${error instanceof Error ? error.name : 'error'}`
        await finish(pool, job, owner, { error: reason, retryInMs: isResult(error) ? undefined : retryBaseMs * 2 ** (job.attempts - 1) }).catch(
          (cause) => log.error({ err: cause }, 'cannot record the failure; the lease will run out'),
        )
      }
    } finally {
      clearInterval(heartbeat)
    }
  }
  // Invalid input does not become valid by retrying.
  const isResult = (error: unknown) => isAppError(error) && error.code === 'ERR_INVALID_INPUT'

  void (async () => {
    // Wake on null (missed changes) too: a job may have been queued while the bus was disconnected.
    for await (const _ of bus.listen((c) => c.kind === 'job', stopping.signal)) wake()
  })()
  wake()

  return {
    async stop() {
      stopping.abort(new Error('the worker stops'))
      clearTimeout(timer)
      await looking
      await Promise.allSettled(running)
    },
  }
}
