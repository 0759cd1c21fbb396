import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '@/shared/errors'
import type { RouteTable } from '@/shared/route-table'
import type { RouterEnv } from './env'
import { OpenGate } from './gate/open-gate'
import { ControlLink } from './link/control-link'
import type { HostTable } from './match/host-table'
import { createObserver } from './observe/observe'
import type { DrainResult, Engine, EngineFactory, EngineLog } from './proxy/engine'
import { createHttpProxyEngine } from './proxy/http-proxy'
import { createLeanEngine } from './proxy/lean/engine'
import { checkTable, supersedes } from './table/schema'
import { SnapshotStore } from './table/snapshot'
import { createTargets } from './targets/balanced'

const engines: Record<RouterEnv['engine'], EngineFactory> = { 'http-proxy': createHttpProxyEngine, lean: createLeanEngine }
const snapshotRetryMs = 5_000
const wakeAskTimeoutMs = 5_000
const watchedState = z.object({ projectIds: z.array(z.string()) })

export interface RouterWorker {
  address: { host: string; port: number }
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
  const gate = new OpenGate(loaded.hosts)
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
  const address = await listen(engine, env, log)
  const apply = (hosts: HostTable) => {
    targets.apply(hosts)
    observer.apply()
    engine.apply(hosts)
  }
  const served = new ServedTable(apply, snapshots, loaded.table, log)
  let listening = true
  link = new ControlLink({
    socketPath: env.controlSocket,
    workerId: env.workerId,
    state: () => ({ version: served.version, listening }),
    onTable: (table) => served.replace(table),
    inFlight: (ids) => engine.inFlight(ids),
    handlers: {
      states: { challenges: () => {}, watched: (state) => observer.watch(watchedState.parse(state).projectIds) },
      commands: { purge: async () => ({ entries: 0 }) },
    },
    log,
  })
  prepareRunDirectory(env, log)
  link.start()
  return {
    address,
    version: () => served.version,
    drain: async () => {
      listening = false
      link?.announce()
      const result = await engine.drain({ deadlineMs: env.drainTimeoutMs, idleGraceMs: Math.min(1_000, env.drainTimeoutMs / 2) })
      targets.close()
      await observer.close()
      link?.stop()
      served.stop()
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

async function listen(engine: Engine, env: RouterEnv, log: EngineLog): Promise<{ host: string; port: number }> {
  const port = env.httpPort
  try {
    return await engine.listen({ host: env.host, port, reusePort: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (env.host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
      log.info({}, 'no IPv6 on this machine: listening on IPv4 alone')
      return engine.listen({ host: '0.0.0.0', port, reusePort: true })
    }
    const nextAction =
      code === 'EADDRINUSE'
        ? `Stop the program that listens on port ${port}, or set EDGE_HTTP_PORT to a free one.`
        : 'Set EDGE_HTTP_PORT to a port this user may open.'
    throw new AppError('ERR_UNAVAILABLE', `the router cannot listen on port ${port}: ${error instanceof Error ? error.message : String(error)}`, {
      nextAction,
      cause: error,
    })
  }
}

/** The table in the engine and its copy on disk, changed together. */
class ServedTable {
  readonly #apply: (hosts: HostTable) => void
  readonly #snapshots: SnapshotStore
  readonly #log: EngineLog
  #current: RouteTable
  #retry: NodeJS.Timeout | undefined

  constructor(apply: (hosts: HostTable) => void, snapshots: SnapshotStore, current: RouteTable, log: EngineLog) {
    this.#apply = apply
    this.#snapshots = snapshots
    this.#current = current
    this.#log = log
  }

  get version(): number {
    return this.#current.version
  }

  /** Checks, applies, stores. @throws on a table that is invalid or older than the one that serves. */
  async replace(input: unknown): Promise<void> {
    const { table, hosts } = checkTable(input)
    const current = this.#current
    if (!supersedes(table, current)) {
      if (table.version === current.version) return // sent again after a reconnection
      throw new Error(`version ${table.version} is older than version ${current.version}, which serves`)
    }
    this.#apply(hosts)
    this.#current = table
    this.#log.info({ version: table.version, routes: hosts.size }, 'new route table serves')
    await this.#store()
  }

  // A table that serves is acknowledged even when the disk is full; the copy is tried again until it is there.
  async #store(): Promise<void> {
    clearTimeout(this.#retry)
    try {
      await this.#snapshots.save(this.#current)
    } catch (error) {
      this.#log.error({ err: error, version: this.#current.version }, 'the route table could not be stored: a restart now would serve the one before')
      this.#retry = setTimeout(() => void this.#store(), snapshotRetryMs)
    }
  }

  stop(): void {
    clearTimeout(this.#retry)
  }
}
