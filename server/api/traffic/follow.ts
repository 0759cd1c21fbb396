import { tracked } from '@trpc/server'
import { z } from 'zod'
import { requestFilter } from '@/shared/traffic'
import { getPlatform } from '../../platform'
import { resumable, signalOf } from '../stream'
import { procedureFor } from '../trpc'

/** The last requests, then live ones. */
export const follow = procedureFor('traffic.read')
  .input(requestFilter.extend({ projectId: z.string().min(1).max(64), ...resumable }))
  .subscription(async function* ({ ctx, input: { projectId, lastEventId, ...filter }, signal }) {
    const query = { ...filter, after: lastEventId ?? undefined, signal: signalOf(signal) }
    for await (const request of getPlatform().traffic.follow(ctx.actor, projectId, query)) yield tracked(request.id, request)
  })
