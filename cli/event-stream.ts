import { setTimeout as wait } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { isAppError } from '@/shared/errors'
import { type Client, restartPatienceMs } from './client'

/** The connection counts as lost after this time without a byte; the server sends comments more often. */
const silenceMs = 45_000

/**
 * Yields events of a server-sent event stream after `after`. Reconnects for up to two minutes after a lost connection and resumes after
 * the last event; ends with the `end` event, or when the server closes the stream normally.
 */
export async function* events(client: Client, path: string, signal: AbortSignal, after?: string): AsyncGenerator<EventSourceMessage> {
  let lastId = after
  let failingSince: number | null = null
  for (let attempt = 0; ; attempt++) {
    if (signal.aborted) return
    try {
      for await (const event of connection(client, path, lastId, signal)) {
        failingSince = null
        attempt = 0
        if (event.event === 'end') return
        if (event.id) lastId = event.id
        yield event
      }
      return
    } catch (error) {
      if (signal.aborted) return
      // Retry only after a lost connection: an error response of the server (404, 401 …) would not change.
      if (isAppError(error) && error.code !== 'ERR_UNAVAILABLE') throw error
      failingSince ??= Date.now()
      if (Date.now() - failingSince > restartPatienceMs) throw error
      await wait(Math.min(2000, 50 * 2 ** attempt), undefined, { signal }).catch(() => {})
    }
  }
}

async function* connection(client: Client, path: string, lastId: string | undefined, signal: AbortSignal): AsyncGenerator<EventSourceMessage> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), silenceMs)
  const queue: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (event) => queue.push(event) })
  const decoder = new TextDecoder()
  const headers = { accept: 'text/event-stream', ...(lastId ? { 'last-event-id': lastId } : {}) }
  try {
    const body = await client.stream(path, headers, AbortSignal.any([signal, silence.signal]))
    for await (const chunk of body) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), silenceMs)
      parser.feed(decoder.decode(chunk, { stream: true }))
      yield* queue.splice(0)
    }
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}
