import type pg from 'pg'
import type { Logger } from 'pino'
import { keepListening } from './listen-connection'

/** What changed; small, because Postgres bounds a notification to 8,000 bytes: a listener reads the rows it needs. */
export interface Change {
  kind: 'project' | 'deployment' | 'instance' | 'variable' | 'domain' | 'log' | 'job' | 'request' | 'watch' | 'access'
  id: string
  teamId: string | null
  projectId: string | null
}

/** Between parts of the server; the dashboard follows logs and requests by streams of their own. */
const inner = ['log', 'job', 'request', 'watch', 'access'] as const
export type DashboardChange = Change & { kind: Exclude<Change['kind'], (typeof inner)[number]> }
export const isForDashboards = (change: Change): change is DashboardChange => !(inner as readonly string[]).includes(change.kind)

export interface ChangeBus {
  /** Tells every process that listens to the same database. Never throws: a lost notice costs freshness, not truth. */
  publish(change: Change): Promise<void>
  /**
   * Changes that `filter` lets through, from this moment on, until `signal`. `null` means that some may have been missed
   * (the connection was lost): read again.
   */
  listen(filter: (change: Change) => boolean, signal: AbortSignal): AsyncIterable<Change | null>
  /** False while changes cannot be heard: who waits for one looks for itself until then. */
  isListening(): boolean
  close(): Promise<void>
}

/** Triggers of the database write to it too (kinds `access` and `job`). */
const channel = 'switchyard_changes'
const maxQueued = 1000

type Listener = (change: Change | null) => void

/** LISTEN/NOTIFY over one dedicated connection, so that roles split over several processes see the same changes. */
export function createChangeBus(options: { url: string; pool: pg.Pool; logger: Logger }): ChangeBus {
  const { url, pool, logger } = options
  const listeners = new Set<Listener>()
  const publishToListeners = (change: Change | null) => {
    for (const listener of listeners) listener(change)
  }
  const connection = keepListening({
    url,
    channel,
    logger,
    onListening: () => publishToListeners(null),
    onMessage(payload) {
      const change = readChange(payload)
      if (change) publishToListeners(change)
      else logger.warn({ payload: payload.slice(0, 200) }, 'change bus: a notice that nobody can read was ignored')
    },
  })
  return {
    async publish(change) {
      try {
        await pool.query('SELECT pg_notify($1, $2)', [channel, JSON.stringify(change)])
      } catch (error) {
        logger.warn({ err: error, change }, 'change bus: notice lost')
      }
    },
    listen(filter, signal) {
      return subscribe(listeners, filter, signal)
    },
    isListening: () => connection.isListening(),
    close: () => connection.close(),
  }
}

/** Everybody who may connect to the database may notify: null for what is no change. */
function readChange(payload: string): Change | null {
  try {
    const change = JSON.parse(payload) as Change | null
    return change !== null && typeof change.kind === 'string' && typeof change.id === 'string' ? change : null
  } catch {
    return null
  }
}

/** Registered at once, not at the first `next()`: what happens between subscribing and reading is not lost. */
function subscribe(listeners: Set<Listener>, filter: (change: Change) => boolean, signal: AbortSignal): AsyncIterable<Change | null> {
  let queue: (Change | null)[] = []
  let wake: (() => void) | undefined
  const listener: Listener = (change) => {
    if (change && !filter(change)) return
    // A reader that cannot keep up reads everything again instead of holding memory.
    if (queue.length >= maxQueued) queue = [null]
    else queue.push(change)
    wake?.()
  }
  listeners.add(listener)
  const onAbort = () => {
    listeners.delete(listener)
    wake?.()
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return {
    async *[Symbol.asyncIterator]() {
      try {
        while (!signal.aborted) {
          const next = queue.shift()
          if (next !== undefined) yield next
          else
            await new Promise<void>((resolve) => {
              wake = resolve
              if (signal.aborted || queue.length > 0) resolve()
            })
        }
      } finally {
        listeners.delete(listener)
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

/** Whenever the access of a person or key has changed; also when a change may have been missed. */
export async function* accessChanges(bus: Pick<ChangeBus, 'listen'>, actorId: string, signal: AbortSignal): AsyncGenerator<void> {
  for await (const _ of bus.listen((change) => change.kind === 'access' && change.id === actorId, signal)) yield
}
