import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { type Bound, openPlain, SecureDoor } from './doors'
import type { RouterEnv } from './env'
import { createGate } from './gate/create-gate'
import { ControlLink } from './link/control-link'
import type { HostTable } from './match/host-table'
import { createObserver } from './observe/observe'
import type { DrainResult, EngineFactory, EngineLog } from './proxy/engine'
import { createHttpProxyEngine } from './proxy/http-proxy'
import { createLeanEngine } from './proxy/lean/engine'
import { ServedTable } from './served-table'
import { SnapshotStore } from './table/snapshot'
import { createTargets } from './targets/balanced'
import { createTlsEdge } from './tls/edge'
import { SessionKeys } from './tls/session-keys'

const engines: Record<RouterEnv['engine'], EngineFactory> = { 'http-proxy': createHttpProxyEngine, lean: createLeanEngine }
const wakeAskTimeoutMs = 5_000
const certificateAskTimeoutMs = 10_000
/** A new table waits so long for the keys of new certificates, so that nobody is sent to a name that cannot be shown yet. */
const certificateWaitMs = 2_000
const watchedState = z.object({ projectIds: z.array(z.string()) })
const challengesState = z.object({
  http: z.record(z.string(), z.string()),
  alpn: z.record(z.string(), z.object({ certificatePem: z.string(), keyPem: z.string() })),
})

export interface RouterWorker {
  address: Bound
  /** HTTPS; null while its port is not open. */
  secureAddress(): Bound | null
  /** Version of the table that serves. */
  version(): number
  /** Graceful end: nothing new, what is open finishes until the deadline. */
  drain(): Promise<DrainResult>
}

/**
 * One router worker: the last good table from disk first, then the listener, then the control plane, so that it serves within
 * moments with everything else gone.
 * @throws AppError when the port cannot be bound.
 */
export async function startWorker(env: RouterEnv, log: EngineLog): Promise<RouterWorker> {
  const snapshots = new SnapshotStore(env.runDirectory)
  const loaded = snapshots.load()
  const loadedFields = { version: loaded.table.version, routes: loaded.hosts.size, from: loaded.from, problems: loaded.problems }
  log[loaded.from === 'current' ? 'info' : 'warn'](loadedFields, `serving the ${loaded.from} route table from disk`)
  prepareRunDirectory(env, log)
  const gate = createGate({ table: loaded.hosts, log })
  // The link comes last, so that serving waits for nothing; until then there is nobody to tell or to ask.
  let link: ControlLink | undefined
  const targets = createTargets({
    table: loaded.hosts,
    log,
    report: (kind, report) => link?.report(kind, report),
    wake: async (ask) => (link ? link.ask('wake', ask, wakeAskTimeoutMs) : { accepted: false }),
    worker: { id: env.workerId, count: env.workers },
  })
  const observer = createObserver({
    report: (kind, report) => link?.report(kind, report) ?? false,
    log,
    accessLogFile: env.accessLog === 'off' ? null : path.join(env.home, 'logs', `access-${env.workerId}.log`),
    logEverything: env.accessLog === 'all',
  })
  const engine = engines[env.engine]({ limits: env.limits, table: loaded.hosts, log, gate, targets, observer })
  const sessionKeys = new SessionKeys({ file: path.join(env.runDirectory, 'ticket.keys'), log })
  const tls = createTlsEdge({
    directory: env.runDirectory,
    ask: async (ids) => (link ? (await link.ask('certificates', { ids }, certificateAskTimeoutMs)).certificates : []),
    sessionKeys,
    handshakeTimeoutMs: env.limits.clientHeadTimeoutMs,
    log,
  })
  const apply = async (hosts: HostTable) => {
    await inTime(tls.apply(hosts.certificates), certificateWaitMs)
    gate.apply(hosts)
    targets.apply(hosts)
    observer.apply()
    engine.apply(hosts)
  }
  // What is on disk is enough to begin with; the rest is asked for once there is somebody to ask.
  void tls.apply(loaded.hosts.certificates)
  const address = await openPlain(engine, env, log)
  const secure = new SecureDoor(engine, env, tls, log, () => void served.again())
  const served = new ServedTable({ apply, snapshots, current: loaded.table, isSecure: () => secure.bound !== null, log })
  await secure.open()
  if (secure.bound === null && loaded.hosts.httpsPort !== null) await served.again()
  let listening = true
  link = new ControlLink({
    socketPath: env.controlSocket,
    workerId: env.workerId,
    state: () => ({ version: served.version, listening }),
    onTable: (table) => served.replace(table),
    inFlight: (ids) => engine.inFlight(ids),
    handlers: {
      states: {
        challenges: (state) => {
          const { http, alpn } = challengesState.parse(state)
          gate.setChallenges(http)
          tls.challenges(alpn)
        },
        watched: (state) => observer.watch(watchedState.parse(state).projectIds),
      },
      commands: { purge: async () => ({ entries: 0 }) },
    },
    log,
  })
  link.start()
  return {
    address,
    secureAddress: () => secure.bound,
    version: () => served.version,
    drain: async () => {
      listening = false
      link?.announce()
      secure.stop()
      const result = await engine.drain({ deadlineMs: env.drainTimeoutMs, idleGraceMs: Math.min(1_000, env.drainTimeoutMs / 2) })
      gate.close()
      targets.close()
      await observer.close()
      link?.stop()
      served.stop()
      tls.close()
      sessionKeys.close()
      return result
    },
  }
}

// Serving does not depend on it: a full or read-only disk costs the snapshot, not the traffic.
function prepareRunDirectory(env: RouterEnv, log: EngineLog): void {
  try {
    mkdirSync(env.runDirectory, { recursive: true, mode: 0o700 })
  } catch (error) {
    log.error({ err: error, directory: env.runDirectory }, 'the run directory cannot be made: no snapshot will survive a restart')
  }
}

/** Resolves when `work` is done, or after `deadlineMs`. */
async function inTime(work: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
