import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { growingPauses } from '@/shared/node/pauses'

export interface ListenOptions {
  url: string
  channel: string
  logger: Pick<Logger, 'info' | 'warn'>
  /** Called after each successful LISTEN; earlier notifications may have been missed. */
  onListening(): void
  onMessage(payload: string): void
}

/** Name of the connection in pg_stat_activity. */
export const listenerName = 'switchyard changes'
const firstPauseMs = 100
const longestPauseMs = 4_000
const connectDeadlineMs = 5_000
const queryDeadlineMs = 10_000
/** Interval of liveness queries on an idle connection: nothing else detects a peer that vanished without closing. */
const checkEveryMs = 30_000

export interface ListenConnection {
  /** Whether LISTEN is in effect, as far as known. */
  isListening(): boolean
  close(): Promise<void>
}

/**
 * Keeps a single connection with LISTEN on `channel` until `close`. A single loop reconnects, so that at most one connection exists however
 * it fails; the backoff grows to four seconds.
 */
export function keepListening(options: ListenOptions): ListenConnection {
  const closing = new AbortController()
  const pauses = growingPauses({ firstMs: firstPauseMs, longestMs: longestPauseMs })
  let failures = 0
  let listeningSince: number | null = null
  let isListening = false
  const onListening = () => {
    if (failures > 0) options.logger.info({ failures }, 'change bus: the database answers again')
    failures = 0
    listeningSince = performance.now()
    isListening = true
    options.onListening()
  }
  const onLost = (error: unknown) => {
    // Log only the first failure of an outage.
    if (!closing.signal.aborted && failures++ === 0)
      options.logger.warn({ err: error }, 'change bus: the database is not reachable; trying again until it is')
  }
  const loop = (async () => {
    while (!closing.signal.aborted) {
      listeningSince = null
      await session(options, closing.signal, onListening).catch(onLost)
      isListening = false
      // Reset the backoff only after a stable connection: a server that accepts and drops connections gets the same backoff as one that refuses.
      if (listeningSince !== null && performance.now() - listeningSince > longestPauseMs) pauses.reset()
      await wait(pauses.next(), undefined, { signal: closing.signal }).catch(() => {})
    }
  })()
  return {
    isListening: () => isListening,
    close() {
      closing.abort()
      return loop
    },
  }
}

/** Runs a single connection until it ends; settles only after the socket is closed. */
async function session({ url, channel, onMessage }: ListenOptions, closing: AbortSignal, onListening: () => void): Promise<void> {
  const socket = new net.Socket()
  const client = new pg.Client({
    connectionString: url,
    application_name: listenerName,
    connectionTimeoutMillis: connectDeadlineMs,
    query_timeout: queryDeadlineMs,
    keepAlive: true,
    stream: () => socket,
  })
  const lost = new AbortController()
  client.on('error', (error) => lost.abort(error))
  client.on('end', () => lost.abort(new Error('the database ended the connection')))
  client.on('notification', ({ payload }) => payload && onMessage(payload))
  const over = AbortSignal.any([closing, lost.signal])
  try {
    await client.connect()
    await client.query(`LISTEN ${channel}`)
    onListening()
    while (!over.aborted) {
      await wait(checkEveryMs, undefined, { signal: over, ref: false }).catch(() => {})
      if (!over.aborted) await client.query('SELECT 1')
    }
    if (lost.signal.aborted) throw lost.signal.reason
  } finally {
    client.end().catch(() => {})
    // Destroy instead of waiting for a clean close: a hung server would keep the descriptor open forever.
    socket.destroy()
  }
}
