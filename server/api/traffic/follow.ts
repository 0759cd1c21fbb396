import { tracked } from '@trpc/server'
import { z } from 'zod'
import { requestFilter } from '@/shared/traffic'
import { getPlatform } from '../../platform'
import { resumable } from '../stream'
import { procedureFor } from '../trpc'

/** The last requests, then live ones. */
export const follow = procedureFor('traffic.read')
  .input(requestFilter.extend({ projectId: z.string().min(1).max(64), ...resumable }))
  .subscription(async function* ({ ctx, input: { projectId, lastEventId, ...filter } }) {
    const query = { ...filter, after: lastEventId ?? undefined, signal: ctx.signal }
    for await (const request of getPlatform().traffic.follow(ctx.actor, projectId, query)) yield tracked(request.id, request)
  })
