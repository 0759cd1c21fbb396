import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { growingPauses } from '@/shared/node/pauses'

export interface ListenOptions {
  url: string
  channel: string
  logger: Pick<Logger, 'info' | 'warn'>
  /** LISTEN is in effect, for the first time or again: what was notified before may have been missed. */
  onListening(): void
  onMessage(payload: string): void
}

/** Name of the connection in pg_stat_activity. */
export const listenerName = 'switchyard changes'
const firstPauseMs = 100
const longestPauseMs = 4_000
const connectDeadlineMs = 5_000
const queryDeadlineMs = 10_000
/** How often a silent connection is asked whether it still works: a peer that vanished without a word is noticed by nothing else. */
const checkEveryMs = 30_000

export interface ListenConnection {
  /** Whether notices arrive now, as far as is known. */
  isListening(): boolean
  close(): Promise<void>
}

/**
 * Holds one connection that listens on `channel`, until `close`. There is a single loop, so that however often and in however many ways
 * a connection fails, never more than one exists; pauses between attempts grow to four seconds.
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
    // Said once: a database that is away is away for a while.
    if (!closing.signal.aborted && failures++ === 0)
      options.logger.warn({ err: error }, 'change bus: the database is not reachable; trying again until it is')
  }
  const loop = (async () => {
    while (!closing.signal.aborted) {
      listeningSince = null
      await session(options, closing.signal, onListening).catch(onLost)
      isListening = false
      // A server that takes connections and drops them at once is not asked any faster than one that refuses them.
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

/** One connection from its beginning to its end; always rejects or returns after its socket is closed. */
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
    // Not left to the goodbye: a server that hangs would keep the descriptor open for ever.
    socket.destroy()
  }
}
