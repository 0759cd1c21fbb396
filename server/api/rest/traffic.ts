import { requestFilter, requestList, requestsQuery, targetEventList, trafficQuery, trafficSeries } from '@/shared/traffic'
import { type Actor, getPlatform } from '../../platform'
import { metricsContentType } from '../../traffic/metrics'
import { streamLines } from './event-stream'
import { defineRoute } from './route'
import { logQuery, projectPath } from './schemas'

const projectId = async (actor: Actor, project: string): Promise<string> => (await getPlatform().projects.get(actor, project)).id

export const trafficRoutes = [
  defineRoute({
    id: 'getTraffic',
    method: 'GET',
    path: '/projects/{project}/traffic',
    action: 'traffic.read',
    summary: 'Requests, bytes and latency percentiles over time, by host and by instance',
    params: projectPath,
    query: trafficQuery,
    answer: { status: 200, schema: trafficSeries },
    handle: async ({ actor, params, query }) => getPlatform().traffic.series(actor, await projectId(actor, params.project), query),
  }),
  defineRoute({
    id: 'listRequests',
    method: 'GET',
    path: '/projects/{project}/requests',
    action: 'traffic.read',
    summary: 'Requests that were written down (all errors, a sample of the rest), newest first',
    params: projectPath,
    query: requestsQuery,
    answer: { status: 200, schema: requestList },
    handle: async ({ actor, params, query }) => getPlatform().traffic.requests(actor, await projectId(actor, params.project), query),
  }),
  defineRoute({
    id: 'streamRequests',
    method: 'GET',
    path: '/projects/{project}/requests/stream',
    action: 'traffic.read',
    summary: 'Requests as they come, as server-sent events; while it is read, every request is told',
    params: projectPath,
    query: requestFilter.extend({ after: logQuery.shape.after }),
    answer: { status: 200, contentType: 'text/event-stream' },
    handle: async ({ actor, params, query: { after, ...filter }, headers, signal }) => {
      const id = await projectId(actor, params.project)
      const position = headers.get('last-event-id') ?? after
      return streamLines((ended) => getPlatform().traffic.follow(actor, id, { ...filter, after: position, signal: ended }), signal)
    },
  }),
  defineRoute({
    id: 'listTargetEvents',
    method: 'GET',
    path: '/projects/{project}/target-events',
    action: 'traffic.read',
    summary: 'When routers took instances out of the rotation, and back, newest first',
    params: projectPath,
    answer: { status: 200, schema: targetEventList },
    handle: async ({ actor, params }) => ({ items: await getPlatform().traffic.targetEvents(actor, await projectId(actor, params.project)) }),
  }),
  defineRoute({
    id: 'getMetrics',
    method: 'GET',
    path: '/metrics',
    action: 'metrics.read',
    summary: 'Figures of the team for Prometheus, in its text format; scraped with an API key as bearer token',
    answer: { status: 200, contentType: 'text/plain' },
    handle: async ({ actor }) =>
      new Response(await getPlatform().traffic.metrics(actor), {
        headers: { 'content-type': metricsContentType, 'cache-control': 'no-store' },
      }),
  }),
]
