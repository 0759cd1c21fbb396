import { setTimeout as wait } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { type LogRecord, maxLogLineBytes } from '@/shared/logs'
import { growingPauses } from '@/shared/node/pauses'
import type { ChangeBus } from '../events/bus'

export interface LogWriter {
  /** Queues a line; lines are written in order within `flushMs`. */
  write(line: Omit<LogRecord, 'at'> & { at?: Date }): void
  /** Resolves when all queued lines are stored or dropped. */
  flush(): Promise<void>
  /** Number of queued lines that are not stored yet. */
  held(): number
}

const flushMs = 40
const batchLines = 500
/** Queue length while the database does not answer; beyond it the oldest lines are dropped and counted. */
const maxHeldLines = 20_000
const firstRetryMs = 200
const longestRetryMs = 2_000
/** Retries of a batch that the database refuses, and of any batch after `stop`. */
const maxRetries = 10
/** After this outage of the database, queued lines are dropped. */
const giveUpAfterMs = 15 * 60_000

/** Replaces NUL, which Postgres text cannot hold, and cuts a long line with an ellipsis. */
function storable(text: string): string {
  const clean = text.replaceAll('\0', '\uFFFD')
  return clean.length <= maxLogLineBytes ? clean : `${clean.slice(0, maxLogLineBytes - 1)}…`
}

/** SQLSTATE classes that a retry cannot fix: data exception, integrity violation, syntax error. Any other error means an unavailable database. */
const isRefusal = (error: unknown) => /^(22|23|42)...$/.test(String((error as { code?: unknown } | null)?.code ?? ''))

/** Appends lines to a deployment's log in batched inserts with a single notification per batch. After `stop` aborts, unwritten lines are dropped soon. */
export function createLogWriter(options: {
  pool: Pool
  bus: ChangeBus
  logger: Logger
  ids: { teamId: string; projectId: string; deploymentId: string; instanceId?: string }
  /** Masks secrets in every line. */
  mask: (text: string) => string
  stop?: AbortSignal
}): LogWriter {
  const { pool, bus, logger, ids, mask, stop } = options
  let held: (Omit<LogRecord, 'at'> & { at: Date })[] = []
  /** Number of lines dropped before the first queued line. */
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
    let failingSince = 0
    const pauses = growingPauses({ firstMs: firstRetryMs, longestMs: longestRetryMs })
    let batch: typeof held = []
    while (batch.length > 0 || held.length > 0) {
      if (batch.length === 0) batch = takeBatch()
      try {
        await insert(batch)
        batch = []
        failures = 0
        pauses.reset()
        void bus.publish({ kind: 'log', id: ids.deploymentId, teamId: ids.teamId, projectId: ids.projectId })
      } catch (error) {
        if (++failures === 1) failingSince = Date.now()
        const isWaiting = !isRefusal(error) && !stop?.aborted && Date.now() - failingSince < giveUpAfterMs
        if (failures > maxRetries && !isWaiting) {
          logger.error({ err: error, lines: batch.length + held.length }, 'log lines lost: the database does not take them')
          held = []
          return
        }
        await wait(pauses.next())
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
      // Drop the oldest lines: the end of a log explains a failure.
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
    held: () => held.length,
  }
}
