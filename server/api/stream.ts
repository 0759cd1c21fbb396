import { z } from 'zod'

/** Position a subscription goes on behind; the browser sends it by itself after a lost connection. */
export const resumable = { lastEventId: z.string().max(200).nullish() }

const never = new AbortController().signal

/** The request's signal; a call from the server's own pages has none. */
export const signalOf = (signal: AbortSignal | undefined): AbortSignal => signal ?? never
