import { mkdirSync } from 'node:fs'
import { z } from 'zod'
import { trustedProxies } from '@/shared/node/trusted-proxies'
import type { DrainResult, Engine, EngineFactory } from './engine/engine'
import { createHttpProxyEngine } from './engine/http-proxy/engine'
import { createLeanEngine } from './engine/lean'
import type { RouterEnv } from './env'
import { ControlLink, type LinkHandlers } from './link/control-link'
import { type Bound, openPlainListener, TlsListener } from './listeners'
import type { RouterLog } from './log'
import type { HostTable } from './match/host-table'
import { ServedTable } from './served-table'
import { type ControlPlane, createServices, type Services } from './services'
import { findSiblings } from './siblings'
import { SnapshotStore } from './table/snapshot'

const engines: Record<RouterEnv['engine'], EngineFactory> = { 'http-proxy': createHttpProxyEngine, lean: createLeanEngine }

const watchedState = z.object({ projectIds: z.array(z.string()) })
const challengesState = z.object({
  http: z.record(z.string(), z.string()),
  alpn: z.record(z.string(), z.object({ certificatePem: z.string(), keyPem: z.string() })),
})
const purgeCommand = z.object({ projectId: z.string(), tags: z.array(z.string()).optional(), paths: z.array(z.string()).optional() })

const endConnectionsCommand = z.object({ instanceIds: z.array(z.string()) })

export interface RouterWorker {
  address: Bound
  /** HTTPS address; null: the port is not open. */
  secureAddress(): Bound | null
  /** Version of the current table. */
  version(): number
  /** Graceful end: accepts nothing new, finishes open requests until the deadline. */
  drain(): Promise<DrainResult>
}

/**
 * Starts a worker: first the last valid table from disk, then the listeners, then the control plane, so that it serves quickly even when
 * everything else is down.
 * @throws AppError when the HTTP port cannot be bound.
 */
export async function startWorker(env: RouterEnv, log: RouterLog): Promise<RouterWorker> {
  const snapshots = new SnapshotStore(env.runDirectory)
  const { from, problems, ...current } = snapshots.load()
  const { hosts } = current
  const loadedFields = { version: hosts.version, routes: hosts.size, from, problems }
  log[from === 'current' ? 'info' : 'warn'](loadedFields, `serving the ${from} route table from disk`)
  prepareRunDirectory(env, log)
  // The link comes last, so that serving never waits for it; until then reports are dropped and questions are refused.
  let link: ControlLink | undefined
  const control: ControlPlane = {
    ask: (kind, ask, deadlineMs) => link?.ask(kind, ask, deadlineMs) ?? Promise.reject(new Error('the control plane is not connected yet')),
    report: (kind, report) => link?.report(kind, report) ?? false,
  }
  const services = createServices(env, hosts, log, control, findSiblings(env.workers))
  const engine = engines[env.engine]({ limits: env.limits, table: hosts, log, trusts: trustedProxies(env.trustedProxies), ...services })
  const apply = async (next: HostTable) => {
    await services.apply(next)
    engine.apply(next)
  }
  const secure = new TlsListener(engine, env, services.tls, log, () => void served.again())
  const served = new ServedTable({ apply, snapshots, current, isSecure: () => secure.bound !== null, log })
  const address = await openPlainListener(engine, env, log)
  await secure.open()
  if (secure.bound === null && hosts.httpsPort !== null) await served.again()
  let listening = true
  link = new ControlLink({
    socketPath: env.controlSocket,
    workerId: env.workerId,
    state: () => ({ version: served.version, listening }),
    serving: () => served.current,
    onTable: (next) => served.replace(next),
    inFlight: (ids) => engine.inFlight(ids),
    handlers: handlersOf(services, engine),
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
      await services.close()
      link?.stop()
      served.stop()
      return result
    },
  }
}

function handlersOf({ gate, tls, observer, parts }: Services, engine: Engine): LinkHandlers {
  return {
    states: {
      challenges: (state) => {
        const { http, alpn } = challengesState.parse(state)
        gate.setChallenges(http)
        tls.challenges(alpn)
      },
      watched: (state) => observer.watch(watchedState.parse(state).projectIds),
    },
    commands: {
      purge: async (ask) => parts.purge(purgeCommand.parse(ask)),
      'end-connections': async (ask) => ({ ended: await engine.endTunnels(endConnectionsCommand.parse(ask).instanceIds) }),
    },
  }
}

// Serving does not depend on the directory: with a full or read-only disk only the snapshot is lost.
function prepareRunDirectory(env: RouterEnv, log: RouterLog): void {
  try {
    mkdirSync(env.runDirectory, { recursive: true, mode: 0o700 })
  } catch (error) {
    log.error({ err: error, directory: env.runDirectory }, 'the run directory cannot be made: no snapshot will survive a restart')
  }
}
