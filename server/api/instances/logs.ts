import { tracked } from '@trpc/server'
import { z } from 'zod'
import { getPlatform } from '../../platform'
import { resumable } from '../stream'
import { procedureFor } from '../trpc'

const linesToBeginWith = 500

/** What the app writes: its last lines, then live ones. */
export const logs = procedureFor('instance.read')
  .input(z.object({ instanceId: z.string().min(1).max(64), ...resumable }))
  .subscription(async function* ({ ctx, input }) {
    const after = input.lastEventId ?? undefined
    const query = { after, tail: after === undefined ? linesToBeginWith : undefined, follow: true, signal: ctx.signal }
    for await (const line of getPlatform().instances.logs(ctx.actor, input.instanceId, query)) yield tracked(line.id, line)
  })
