import { meView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { streamLines } from './event-stream'
import { defineRoute } from './route'
import { instancePath, logQuery } from './schemas'

export const instanceRoutes = [
  defineRoute({
    id: 'streamInstanceLogs',
    method: 'GET',
    path: '/instances/{instanceId}/logs',
    action: 'instance.read',
    summary: 'What an instance writes, as server-sent events',
    params: instancePath,
    query: logQuery,
    answer: { status: 200, contentType: 'text/event-stream' },
    handle: ({ actor, params, query, headers, signal }) => {
      const options = { after: headers.get('last-event-id') ?? query.after, tail: query.tail, follow: query.follow === '1' }
      return streamLines((ended) => getPlatform().instances.logs(actor, params.instanceId, { ...options, signal: ended }), signal)
    },
  }),
]

export const meRoutes = [
  defineRoute({
    id: 'getMe',
    method: 'GET',
    path: '/me',
    action: 'me.read',
    summary: 'Whom the key or session belongs to',
    answer: { status: 200, schema: meView },
    handle: ({ actor }) => getPlatform().accounts.describe(actor),
  }),
]
