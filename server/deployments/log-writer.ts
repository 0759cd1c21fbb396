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
  /** Hides secrets in every line. */
  mask: (text: string) => string
}): LogWriter {
  const { pool, bus, logger, ids, mask } = options
  let held: (Omit<LogRecord, 'at'> & { at: Date })[] = []
  /** Lines that were dropped before the first one held. */
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

  function takeBatch(): typeof held {
    const batch = held.splice(0, batchLines)
    const [first] = batch
    if (dropped > 0 && first) {
      const text = `${dropped} lines were dropped here: they came faster than they can be stored`
      batch.unshift({ step: first.step, stream: 'system', text, at: first.at })
      dropped = 0
    }
    return batch
  }

  async function writeHeld(): Promise<void> {
    let failures = 0
    let batch: typeof held = []
    while (batch.length > 0 || held.length > 0) {
      if (batch.length === 0) batch = takeBatch()
      try {
        await insert(batch)
        batch = []
        failures = 0
        void bus.publish({ kind: 'log', id: ids.deploymentId, teamId: ids.teamId, projectId: ids.projectId })
      } catch (error) {
        if (++failures > maxRetries) {
          logger.error({ err: error, lines: batch.length + held.length }, 'log lines lost: the database does not take them')
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
      // The oldest go: the end of a log says why something failed.
      if (held.length >= maxHeldLines) dropped += held.splice(0, batchLines).length
      held.push({ ...line, text: mask(line.text), at: line.at ?? new Date() })
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
