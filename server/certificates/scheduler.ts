import type { AcmeTransport } from './acme'
import { type AttemptDeps, attempt } from './attempt'
import { createAuthorityGate } from './authority-gate'
import { type Claimed, claim, createMissing, forgetOldTries, LeaseLost, leaseSeconds, outlook, released, renewLease, write } from './record'
import { pollRenewalInfo } from './renewal-info'
import { backoff } from './schedule'

export interface CertificateScheduler {
  /** Looks for work now: a domain was verified, a person pressed "Try again". */
  wake(): void
  /** Interrupts what runs; its leases are given back, and whoever starts next goes on with the orders. */
  stop(): Promise<void>
}

export interface SchedulerOptions extends Omit<AttemptDeps, 'gate'> {
  transport: AcmeTransport
  /** `machine:process`; every claim adds to it. */
  owner: string
  /** Orders at a time. */
  concurrency?: number
}

const presetConcurrency = 8
/** Other machines make work too, and nobody tells us. */
const maxIdleMs = 30_000
const minIdleMs = 100
/** One request for a CA's directory in a quarter of a minute is no burden to it, and people wait for first certificates. */
const maxLookPauseMs = 15_000
const renewalInfoEveryMs = 60_000
const forgetEveryMs = 3_600_000

/** Runs whatever is due, as many orders at a time as allowed, each under a lease; level-triggered from the record, so that a crash loses nothing. */
export function startScheduler(options: SchedulerOptions): CertificateScheduler {
  const { pool, prisma, owner, logger, now, authorities, transport } = options
  const concurrency = options.concurrency ?? presetConcurrency
  const stopping = new AbortController()
  const running = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> | undefined
  let again = false
  let expiresAt: number | null = null
  let infoAt = 0
  let forgetAt = 0

  const gate = createAuthorityGate({
    look: (directory, signal) => transport.directory(directory, signal),
    now,
    random: options.random,
    // Where lifetimes are short, an outage is noticed to be over soon.
    maxPauseMs: () => (expiresAt === null ? maxLookPauseMs : Math.min(Math.max((expiresAt - now()) / 40, 1_000), maxLookPauseMs)),
  })
  const deps: AttemptDeps = { ...options, gate }

  async function anyOpen(): Promise<boolean> {
    for (const { directory } of authorities.production) if (await gate.open(directory, stopping.signal)) return true
    return false
  }

  async function fill(): Promise<void> {
    while (!stopping.signal.aborted && running.size < concurrency) {
      if (!(await anyOpen())) return
      const row = await claim({ pool, prisma }, owner, now())
      if (!row) return
      const work = runOne(row).finally(() => {
        running.delete(work)
        wake()
      })
      running.add(work)
    }
  }

  async function look(): Promise<void> {
    // Only uploaded certificates on this installation: nothing is promised that nobody would keep.
    if (authorities.production.length === 0) return
    await createMissing(pool, now())
    const ahead = await outlook(pool, now())
    expiresAt = ahead.expiresAt
    await fill()
    await upkeep()
  }

  /** Never in the way of orders. */
  async function upkeep(): Promise<void> {
    if (now() >= infoAt) {
      infoAt = now() + renewalInfoEveryMs
      const directories = authorities.production.map((one) => one.directory)
      await pollRenewalInfo({ pool, prisma, transport, now, random: options.random }, directories, stopping.signal).catch((error) =>
        logger.debug({ err: error }, 'no renewal information; the last known stays good'),
      )
    }
    if (now() >= forgetAt) {
      forgetAt = now() + forgetEveryMs
      await forgetOldTries(pool)
    }
  }

  async function idleMs(): Promise<number> {
    const { nextAt, expiresAt: due } = await outlook(pool, now())
    const looks = authorities.production.flatMap((one) => gate.nextLookAt(one.directory) ?? [])
    // Something is due but all CAs are dark: the next look decides.
    const wakeAt = due !== null && looks.length > 0 ? Math.min(...looks) : (nextAt ?? Number.POSITIVE_INFINITY)
    return Math.min(Math.max(Math.min(wakeAt, ...looks) - now(), minIdleMs), maxIdleMs)
  }

  function wake(): void {
    if (stopping.signal.aborted) return
    if (round) {
      again = true
      return
    }
    clearTimeout(timer)
    round = look()
      .then(idleMs)
      .catch((error) => {
        if (!stopping.signal.aborted) logger.warn({ err: error }, 'certificates: cannot look for work, trying again')
        return 2_000
      })
      .then((pause) => {
        round = undefined
        if (again) {
          again = false
          wake()
        } else if (!stopping.signal.aborted) timer = setTimeout(wake, pause)
      })
  }

  async function runOne(row: Claimed): Promise<void> {
    const lost = new AbortController()
    const signal = AbortSignal.any([stopping.signal, lost.signal])
    const heartbeat = setInterval(
      () =>
        renewLease(pool, row).then(
          (held) => held || lost.abort(new LeaseLost()),
          (error) => logger.warn({ err: error, certificate: row.id }, 'certificates: heartbeat failed'),
        ),
      (leaseSeconds * 1000) / 4,
    )
    try {
      await attempt(deps, row, signal)
    } catch (error) {
      if (lost.signal.aborted || error instanceof LeaseLost) logger.warn({ certificate: row.id }, 'certificate taken over by another process')
      else await giveBack(row, error)
    } finally {
      clearInterval(heartbeat)
    }
  }

  /** Stopped, or met something nobody expected, such as a database that is gone: the order on record is gone on with later. */
  async function giveBack(row: Claimed, error: unknown): Promise<void> {
    const stopped = stopping.signal.aborted
    if (!stopped) logger.error({ err: error, certificate: row.id }, 'an attempt for a certificate broke off')
    const attempts = row.attempts + (stopped ? 0 : 1)
    const pause = stopped ? 0 : backoff(attempts, { now: now(), notAfter: row.notAfter?.getTime() ?? null, random: options.random() })
    await write(prisma, row, { ...released, attempts, nextAttemptAt: new Date(now() + pause) }).catch((cause) =>
      logger.warn({ err: cause, certificate: row.id }, 'the certificate could not be given back; its lease will run out'),
    )
  }

  wake()
  return {
    wake,
    async stop() {
      stopping.abort(new Error('the certificate scheduler stops'))
      clearTimeout(timer)
      await round
      await Promise.allSettled(running)
    },
  }
}
