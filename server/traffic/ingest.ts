import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { ChangeBus } from '../events/bus'
import type { LinkHub } from '../link/hub'
import { recordHealthEvents } from './health-events'
import { LineStore } from './lines'
import { MinuteStore } from './minutes'
import { accessReport, healthReport, trafficReport } from './reports'
import { TrafficTotals } from './totals'
import { WatchedProjects } from './watched'

const flushMinutesMs = 2_000
const flushLinesMs = 300

export interface TrafficIngest {
  totals: TrafficTotals
  /** Writes pending data and stops. */
  stop(): Promise<void>
}

/**
 * Receives reports of routers: validates, aggregates and writes them in batches. If the database is unavailable, details are dropped to
 * bound the memory.
 */
export function startTrafficIngest(deps: { hub: LinkHub; pool: Pool; bus: ChangeBus; logger: Logger }): TrafficIngest {
  const { hub, pool, bus, logger } = deps
  const minutes = new MinuteStore(pool)
  const lines = new LineStore(pool)
  const totals = new TrafficTotals()
  const watched = new WatchedProjects(hub.messages, bus, logger)

  hub.messages.onReport('traffic', (report) => {
    const { to, counters } = trafficReport.parse(report)
    // Clamp to now: a router whose clock is ahead must not write minutes in the future.
    const at = Math.min(to, Date.now())
    for (const one of counters) {
      minutes.add(at, one)
      totals.add(one)
    }
  })
  hub.messages.onReport('access', (report) => {
    const { lines: received, dropped } = accessReport.parse(report)
    totals.droppedLines += dropped
    lines.add(received)
  })
  hub.messages.onReport('health', (report, worker) => {
    const { events } = healthReport.parse(report)
    for (const { instanceId, state } of events) totals.setEjected(worker, instanceId, state === 'ejected')
    recordHealthEvents(pool, bus, events).catch((error) => logger.warn({ err: error }, 'events of targets not recorded'))
  })

  const loops = [
    every(flushMinutesMs, logger, async () => {
      await minutes.flush()
      if (minutes.lost > 0) logger.warn({ rows: minutes.lost }, 'traffic counts given up: the database refused them, or has been away for too long')
      minutes.lost = 0
    }),
    every(flushLinesMs, logger, async () => {
      const projects = await lines.flush()
      totals.droppedLines += lines.lost
      lines.lost = 0
      for (const projectId of projects) if (watched.has(projectId)) await bus.publish({ kind: 'request', id: projectId, teamId: null, projectId })
    }),
  ]
  return {
    totals,
    async stop() {
      watched.stop()
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}

/** Runs `work` repeatedly without overlap, and once more on stop. */
function every(pauseMs: number, logger: Logger, work: () => Promise<void>): { stop(): Promise<void> } {
  let stopped = false
  let failed = false
  let timer: NodeJS.Timeout
  let current: Promise<void> = Promise.resolve()
  const run = async () => {
    try {
      await work()
      failed = false
    } catch (error) {
      // Log only the first failure of an outage.
      if (!failed) logger.warn({ err: error }, 'traffic not written yet; it is kept and tried again')
      failed = true
    }
  }
  const again = () => {
    timer = setTimeout(() => {
      current = run().finally(() => {
        if (!stopped) again()
      })
    }, pauseMs)
  }
  again()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await current
      await run()
    },
  }
}
