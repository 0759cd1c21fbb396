import type { WireError } from '@/shared/errors'
import type { AcmeTransport } from './acme'
import { type AttemptDeps, attempt } from './attempt'
import { type AuthorityGate, createAuthorityGate } from './authority-gate'
import { adoptKept, forgetEndedKept } from './kept'
import { type Claimed, claim, createMissing, forgetOldTries, LeaseLost, leaseSeconds, outlook, released, renewLease, write } from './record'
import { pollRenewalInfo } from './renewal-info'
import { backoff } from './schedule'

export interface CertificateScheduler {
  /** Checks for due certificates now: a domain was verified, or a user chose "Try again". */
  wake(): void
  /** Interrupts running orders and releases their leases; the next process continues the orders. */
  stop(): Promise<void>
}

export interface SchedulerOptions extends Omit<AttemptDeps, 'gate'> {
  transport: AcmeTransport
  /** `machine:process`; every claim adds to it. */
  owner: string
  /** Maximum concurrent orders. */
  concurrency?: number
}

const presetConcurrency = 8
/** Other machines create work without notifying this process, so check at this interval. */
const maxIdleMs = 30_000
const minIdleMs = 100
/** Longest pause between probes of a CA: a directory request every 15 s is no burden for the CA, and users wait for first certificates. */
const maxLookPauseMs = 15_000
const minLookPauseMs = 1_000
const renewalInfoEveryMs = 60_000
const forgetEveryMs = 3_600_000
const brokenPauseMs = 2_000
const brokenOff: WireError = {
  code: 'ERR_INTERNAL',
  message: 'The attempt broke off for a reason inside this installation.',
  step: 'order',
  nextAction: 'Nothing to do: it is made again by itself. If it lasts, the log of the server names the reason.',
}

/** Runs due certificates, up to `concurrency` orders at a time, each under a lease. Works from database state, so a crash loses nothing. */
export function startScheduler(options: SchedulerOptions): CertificateScheduler {
  const scheduler = new Scheduler(options)
  scheduler.wake()
  return scheduler
}

class Scheduler implements CertificateScheduler {
  readonly #options: SchedulerOptions
  readonly #gate: AuthorityGate
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  #upkeeping: Promise<unknown> | undefined
  /** `wake` was called during a check. */
  #again = false
  /** When the first due certificate expires. */
  #expiresAt: number | null = null
  #infoAt = 0
  #forgetAt = 0

  constructor(options: SchedulerOptions) {
    this.#options = options
    const { now, random, transport } = options
    this.#gate = createAuthorityGate({
      look: (directory, signal) => transport.directory(directory, signal),
      now,
      random,
      // With short lifetimes, probe more often, so that the end of an outage is noticed in time.
      maxPauseMs: () =>
        this.#expiresAt === null ? maxLookPauseMs : Math.min(Math.max((this.#expiresAt - now()) / 40, minLookPauseMs), maxLookPauseMs),
    })
  }

  wake(): void {
    if (this.#stopping.signal.aborted) return
    if (this.#round) {
      this.#again = true
      return
    }
    clearTimeout(this.#timer)
    this.#round = this.#look()
      .then(() => this.#idleMs())
      .catch((error) => {
        if (!this.#stopping.signal.aborted) this.#options.logger.warn({ err: error }, 'certificates: cannot look for work, trying again')
        return brokenPauseMs
      })
      .then((pause) => this.#rest(pause))
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the certificate scheduler stops'))
    clearTimeout(this.#timer)
    await this.#round
    await Promise.allSettled([...this.#running, this.#upkeeping])
  }

  #rest(pause: number): void {
    this.#round = undefined
    if (this.#again) {
      this.#again = false
      this.wake()
    } else if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => this.wake(), pause)
  }

  async #look(): Promise<void> {
    const { pool, authorities, now } = this.#options
    // No CA is configured: create no rows that would never be processed.
    if (authorities.production.length === 0) return
    await this.#takeUpKept()
    await createMissing(pool, now())
    this.#expiresAt = (await outlook(pool, now())).expiresAt
    await this.#fill()
    // Do not await: a CA that answers renewal information slowly must not delay orders.
    this.#upkeeping ??= this.#upkeep()
      .catch((error) => this.#stopping.signal.aborted || this.#options.logger.warn({ err: error }, 'certificates: upkeep failed, trying again'))
      .finally(() => {
        this.#upkeeping = undefined
      })
  }

  /** Gives kept certificates to domains that were added again. */
  async #takeUpKept(): Promise<void> {
    const { pool, prisma, authorities, changed, logger, now } = this.#options
    const directories = authorities.production.map((one) => one.directory)
    const ids = await adoptKept(pool, directories, now())
    if (ids.length === 0) return
    for (const row of await prisma.certificate.findMany({ where: { id: { in: ids } }, include: { domain: true } })) {
      logger.info({ certificate: row.id, names: row.names, notAfter: row.notAfter }, 'certificate taken up again')
      await changed(row, true)
    }
  }

  async #fill(): Promise<void> {
    const { owner, now, concurrency = presetConcurrency } = this.#options
    while (!this.#stopping.signal.aborted && this.#running.size < concurrency) {
      if (!(await this.#anyOpen())) return
      const row = await claim(this.#options, owner, now())
      if (!row) return
      const work = this.#runOne(row).finally(() => {
        this.#running.delete(work)
        this.wake()
      })
      this.#running.add(work)
    }
  }

  async #anyOpen(): Promise<boolean> {
    for (const { directory } of this.#options.authorities.production) if (await this.#gate.open(directory, this.#stopping.signal)) return true
    return false
  }

  /** Runs concurrently with the orders and never delays them. */
  async #upkeep(): Promise<void> {
    const { pool, authorities, logger, now } = this.#options
    if (now() >= this.#infoAt) {
      this.#infoAt = now() + renewalInfoEveryMs
      const directories = authorities.production.map((one) => one.directory)
      await pollRenewalInfo(this.#options, directories, this.#stopping.signal).catch((error) =>
        logger.debug({ err: error }, 'no renewal information; the last known stays good'),
      )
    }
    if (now() >= this.#forgetAt) {
      this.#forgetAt = now() + forgetEveryMs
      await forgetOldTries(pool)
      await forgetEndedKept(pool, now())
    }
  }

  async #idleMs(): Promise<number> {
    const { pool, authorities, now } = this.#options
    const { nextAt } = await outlook(pool, now())
    const looks = authorities.production.flatMap((one) => this.#gate.nextLookAt(one.directory) ?? [])
    const wakeAt = Math.min(nextAt ?? Number.POSITIVE_INFINITY, ...looks)
    return Math.min(Math.max(wakeAt - now(), minIdleMs), maxIdleMs)
  }

  async #runOne(row: Claimed): Promise<void> {
    const { pool, logger } = this.#options
    const lost = new AbortController()
    const heartbeat = setInterval(
      () =>
        renewLease(pool, row).then(
          (held) => held || lost.abort(new LeaseLost()),
          (error) => logger.warn({ err: error, certificate: row.id }, 'certificates: heartbeat failed'),
        ),
      (leaseSeconds * 1000) / 4,
    )
    try {
      await attempt({ ...this.#options, gate: this.#gate }, row, AbortSignal.any([this.#stopping.signal, lost.signal]))
    } catch (error) {
      if (lost.signal.aborted || error instanceof LeaseLost) logger.warn({ certificate: row.id }, 'certificate taken over by another process')
      else await this.#giveBack(row, error)
    } finally {
      clearInterval(heartbeat)
    }
  }

  /**
   * Releases a certificate after the process stopped or an unexpected error such as an unavailable database: its order is continued later.
   */
  async #giveBack(row: Claimed, error: unknown): Promise<void> {
    const { prisma, logger, now, random, changed } = this.#options
    const stopped = this.#stopping.signal.aborted
    if (!stopped) logger.error({ err: error, certificate: row.id }, 'an attempt for a certificate broke off')
    const attempts = row.attempts + (stopped ? 0 : 1)
    const pause = stopped ? 0 : backoff(attempts, { now: now(), notAfter: row.notAfter?.getTime() ?? null, random: random() })
    // Set the state to failed: it would otherwise show "issuing" for up to a day.
    const seen = stopped ? {} : { state: 'failed' as const, problem: { ...brokenOff, retryAfterSeconds: Math.ceil(pause / 1000) } }
    try {
      await write(prisma, row, { ...released, ...seen, attempts, nextAttemptAt: new Date(now() + pause) })
      if (!stopped) await changed(row, false)
    } catch (cause) {
      logger.warn({ err: cause, certificate: row.id }, 'the certificate could not be given back; its lease will run out')
    }
  }
}
