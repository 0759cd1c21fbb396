import path from 'node:path'
import type { LinkQueries, LinkReports } from '@/shared/link'
import { type AnswerSources, createAnswerSources } from './cache/answer-sources'
import type { EngineServices } from './engine/engine'
import type { RouterEnv } from './env'
import { createGate } from './gate/create-gate'
import type { TableGate } from './gate/gate'
import type { RouterLog } from './log'
import type { HostTable } from './match/host-table'
import { createObserver } from './observe/observe'
import { RateLimits } from './rules/rate-limits'
import type { Siblings } from './siblings'
import { createTargets } from './targets/balanced'
import { createTlsTerminator } from './tls/node-tls-terminator'
import { SessionKeys } from './tls/session-keys'
import type { TlsTerminator } from './tls/tls-terminator'

const wakeAskTimeoutMs = 5_000
const certificateAskTimeoutMs = 10_000
/** How long a new table waits for the keys of new certificates, so that no client is redirected to a name without one. */
const certificateWaitMs = 2_000

/** Messages of the services to the control plane. When it is unreachable, questions reject and reports are lost (false). */
export interface ControlPlane {
  ask<K extends keyof LinkQueries>(kind: K, ask: LinkQueries[K]['ask'], deadlineMs: number): Promise<LinkQueries[K]['answer']>
  report<K extends keyof LinkReports>(kind: K, report: LinkReports[K]): boolean
}

/** All parts of a worker except its engine, table and link. */
export interface Services extends EngineServices {
  gate: TableGate
  parts: AnswerSources
  observer: ReturnType<typeof createObserver>
  tls: TlsTerminator
  /** Prepares all services for a new table within one turn of the event loop; the engine follows in the same turn. */
  apply(table: HostTable): Promise<void>
  close(): Promise<void>
}

export function createServices(env: RouterEnv, table: HostTable, log: RouterLog, control: ControlPlane, siblings: Siblings | null = null): Services {
  const targets = createTargets({
    table,
    log,
    report: (kind, report) => control.report(kind, report),
    wake: (ask) => control.ask('wake', ask, wakeAskTimeoutMs),
    worker: { id: env.workerId, count: env.workers },
  })
  const observer = createObserver({
    report: (kind, report) => control.report(kind, report),
    log,
    accessLogFile: env.accessLog === 'off' ? null : path.join(env.home, 'log', `access-${env.workerId}.log`),
    logEverything: env.accessLog === 'all',
  })
  const parts = createAnswerSources({ table, targets, home: env.home, log })
  const { content, cache, compressor } = parts
  const limits = new RateLimits(siblings && ((takes, sent) => siblings.send(takes, sent)))
  siblings?.onReceive((takes) => limits.receive(takes))
  const gate = createGate({ table, log, content, cache, compressor, limits })
  const sessionKeys = new SessionKeys({ file: path.join(env.runDirectory, 'ticket.keys'), log })
  const tls = createTlsTerminator({
    directory: env.runDirectory,
    ask: async (ids) => (await control.ask('certificates', { ids }, certificateAskTimeoutMs)).certificates,
    sessionKeys,
    entries: table.certificates,
    handshakeTimeoutMs: env.limits.clientHeadTimeoutMs,
    log,
  })
  return {
    gate,
    targets,
    observer,
    parts,
    tls,
    async apply(next) {
      await inTime(tls.apply(next.certificates), certificateWaitMs)
      parts.apply(next)
      gate.apply(next)
      targets.apply(next)
      observer.apply()
    },
    async close() {
      gate.close()
      limits.close()
      parts.close()
      targets.close()
      await observer.close()
      tls.close()
      sessionKeys.close()
    },
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
