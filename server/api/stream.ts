import { z } from 'zod'

/** Position a subscription goes on behind; the browser sends it by itself after a lost connection. */
export const resumable = { lastEventId: z.string().max(200).nullish() }
