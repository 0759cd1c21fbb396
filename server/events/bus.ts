import pg from 'pg'
import type { Logger } from 'pino'

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
  close(): Promise<void>
}

/** Triggers of the database write to it too (kind `access`). */
const channel = 'switchyard_changes'
const reconnectMs = 500
const maxQueued = 1000

type Listener = (change: Change | null) => void

/** LISTEN/NOTIFY over one dedicated connection, so that roles split over several processes see the same changes. */
export function createChangeBus(options: { url: string; pool: pg.Pool; logger: Logger }): ChangeBus {
  const { url, pool, logger } = options
  const listeners = new Set<Listener>()
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const tell = (change: Change | null) => {
    for (const listener of listeners) listener(change)
  }

  async function connect(): Promise<void> {
    const next = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 10_000, keepAlive: true })
    let lost = false
    const onLost = () => {
      if (lost || closed) return
      lost = true
      next.end().catch(() => {})
      timer = setTimeout(reconnect, reconnectMs)
    }
    next.on('error', onLost)
    next.on('end', onLost)
    next.on('notification', (message) => {
      if (message.payload) tell(JSON.parse(message.payload) as Change)
    })
    await next.connect()
    await next.query(`LISTEN ${channel}`)
    client = next
    tell(null)
  }
  const reconnect = () => {
    connect().catch((error) => {
      logger.warn({ err: error }, 'change bus: database not reachable, trying again')
      if (!closed) timer = setTimeout(reconnect, reconnectMs)
    })
  }
  reconnect()

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
    async close() {
      closed = true
      clearTimeout(timer)
      await client?.end().catch(() => {})
    },
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
