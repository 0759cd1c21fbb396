import type pg from 'pg'
import type { Logger } from 'pino'
import { keepListening } from './listen-connection'

/** A change notification. Only ids, because Postgres limits a payload to 8,000 bytes: listeners read the rows they need. */
export interface Change {
  kind:
    | 'project'
    | 'deployment'
    | 'instance'
    | 'git-delivery'
    | 'variable'
    | 'domain'
    | 'log'
    | 'job'
    | 'request'
    | 'watch'
    | 'access'
    | 'event'
    | 'delivery'
    | 'report'
    | 'nats'
  id: string
  teamId: string | null
  projectId: string | null
}

/** Kinds for the server only; the dashboard follows logs and requests through separate streams. */
const inner = ['log', 'job', 'request', 'watch', 'access', 'event', 'delivery', 'report', 'nats'] as const
export type DashboardChange = Change & { kind: Exclude<Change['kind'], (typeof inner)[number]> }
export const isForDashboards = (change: Change): change is DashboardChange => !(inner as readonly string[]).includes(change.kind)

export interface ChangeBus {
  /** Notifies every process on the same database. Never throws: a lost notification only delays a refresh. */
  publish(change: Change): Promise<void>
  /**
   * Yields changes that match `filter`, from the call until `signal` aborts. null: changes may have been missed (connection lost), so read
   * everything again.
   */
  listen(filter: (change: Change) => boolean, signal: AbortSignal): AsyncIterable<Change | null>
  /** False while disconnected: a caller that waits for a change must poll until then. */
  isListening(): boolean
  close(): Promise<void>
}

/** Notification channel; database triggers also write to it (such as `access`, `job` and `event`). */
const channel = 'switchyard_changes'
const maxQueued = 1000

type Listener = (change: Change | null) => void

/** Change bus over LISTEN/NOTIFY with a dedicated connection, so that roles in separate processes see the same changes. */
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

/** Parses a payload; null: not a valid change. Any database client may send notifications. */
function readChange(payload: string): Change | null {
  try {
    const change = JSON.parse(payload) as Change | null
    return change !== null && typeof change.kind === 'string' && typeof change.id === 'string' ? change : null
  } catch {
    return null
  }
}

/** Registers the listener immediately, not at the first `next()`, so that changes in between are not lost. */
function subscribe(listeners: Set<Listener>, filter: (change: Change) => boolean, signal: AbortSignal): AsyncIterable<Change | null> {
  let queue: (Change | null)[] = []
  let wake: (() => void) | undefined
  const listener: Listener = (change) => {
    if (change && !filter(change)) return
    // Bound the queue: a slow reader gets null and reads everything again.
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

/** Yields when the access of a user or API key changed, or when a change may have been missed. */
export async function* accessChanges(bus: Pick<ChangeBus, 'listen'>, actorId: string, signal: AbortSignal): AsyncGenerator<void> {
  for await (const _ of bus.listen((change) => change.kind === 'access' && change.id === actorId, signal)) yield
}
