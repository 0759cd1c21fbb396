import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { type LogRecord, maxLogLineBytes } from '@/shared/logs'
import type { ChangeBus } from '../events/bus'

export interface LogWriter {
  /** Queued, written in order within `flushMs`. */
  write(line: Omit<LogRecord, 'at'> & { at?: Date }): void
  /** Resolves when everything queued so far is in the database, or was given up. */
  flush(): Promise<void>
}

const flushMs = 40
const batchLines = 500
/** Held while the database does not answer; beyond it lines are dropped and counted. */
const maxHeldLines = 20_000
const retryMs = 500
const maxRetries = 10

/** NUL cannot be stored in a Postgres text; a line is cut at a bound, never in the middle of a character. */
function storable(text: string): string {
  const clean = text.replaceAll('\0', '\uFFFD')
  return clean.length <= maxLogLineBytes ? clean : `${clean.slice(0, maxLogLineBytes - 1)}…`
}

/** Appends lines to the log of a deployment: batched inserts, one notice a batch. */
export function createLogWriter(options: {
  pool: Pool
  bus: ChangeBus
  logger: Logger
  ids: { teamId: string; projectId: string; deploymentId: string; instanceId?: string }
}): LogWriter {
  const { pool, bus, logger, ids } = options
  let held: (Omit<LogRecord, 'at'> & { at: Date })[] = []
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  async function insert(batch: typeof held): Promise<void> {
    await pool.query(
      `INSERT INTO "LogLine"("teamId","deploymentId","instanceId","step","stream","text","at")
       SELECT $1,$2,$3,t.step,t.stream::"LogStream",t.text,t.at
       FROM unnest($4::text[],$5::text[],$6::text[],$7::timestamp[]) WITH ORDINALITY AS t(step,stream,text,at,n) ORDER BY t.n`,
      [
        ids.teamId,
        ids.deploymentId,
        ids.instanceId ?? null,
        batch.map((l) => l.step),
        batch.map((l) => l.stream),
        batch.map((l) => storable(l.text)),
        batch.map((l) => l.at.toISOString().replace('Z', '')),
      ],
    )
  }

  async function writeHeld(): Promise<void> {
    let failures = 0
    while (held.length > 0) {
      const batch = held.slice(0, batchLines)
      try {
        await insert(batch)
        held = held.slice(batch.length)
        failures = 0
        void bus.publish({ kind: 'log', id: ids.deploymentId, teamId: ids.teamId, projectId: ids.projectId })
      } catch (error) {
        if (++failures > maxRetries) {
          logger.error({ err: error, lines: held.length }, 'log lines lost: the database does not take them')
          held = []
          return
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
  }
  const schedule = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      writing = writing.then(writeHeld)
    }, flushMs)
  }

  return {
    write(line) {
      if (held.length >= maxHeldLines) {
        dropped++
        return
      }
      if (dropped > 0) {
        held.push({
          step: line.step,
          stream: 'system',
          text: `${dropped} lines were dropped here: they came faster than they can be stored`,
          at: new Date(),
        })
        dropped = 0
      }
      held.push({ ...line, at: line.at ?? new Date() })
      schedule()
    },
    async flush() {
      clearTimeout(timer)
      timer = undefined
      writing = writing.then(writeHeld)
      await writing
    },
  }
}
