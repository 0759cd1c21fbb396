import { requestFilter, requestList, requestsQuery, targetEventList, trafficQuery, trafficSeries } from '@/shared/traffic'
import { endpoint, file, stream } from '../api/endpoint'
import { after, projectPath } from '../api/fields'
import { metricsContentType } from './metrics'

export const trafficEndpoints = {
  series: endpoint({
    id: 'getTraffic',
    action: 'traffic.read',
    method: 'GET',
    path: '/projects/{project}/traffic',
    summary: 'Requests, bytes and latency percentiles over time, by host and by instance',
    input: projectPath.extend(trafficQuery.shape),
    output: trafficSeries,
    run: ({ platform, actor, input: { project, ...query } }) => platform.traffic.series(actor, project, query),
  }),
  requests: endpoint({
    id: 'listRequests',
    action: 'traffic.read',
    method: 'GET',
    path: '/projects/{project}/requests',
    summary: 'Requests that were written down (all errors, a sample of the rest), newest first',
    input: projectPath.extend(requestsQuery.shape),
    output: requestList,
    run: ({ platform, actor, input: { project, ...query } }) => platform.traffic.requests(actor, project, query),
  }),
  follow: stream({
    id: 'streamRequests',
    action: 'traffic.read',
    path: '/projects/{project}/requests/stream',
    summary: 'Requests as they come, as server-sent events; while it is read, every request is told',
    input: projectPath.extend(requestFilter.shape).extend({ after }),
    resumable: true,
    run: ({ platform, actor, input: { project, ...query }, signal }) => platform.traffic.follow(actor, project, { ...query, signal }),
  }),
  targetEvents: endpoint({
    id: 'listTargetEvents',
    action: 'traffic.read',
    method: 'GET',
    path: '/projects/{project}/target-events',
    summary: 'When routers took instances out of the rotation, and back, newest first',
    input: projectPath,
    output: targetEventList,
    run: async ({ platform, actor, input }) => ({ items: await platform.traffic.targetEvents(actor, input.project) }),
  }),
  metrics: file({
    id: 'getMetrics',
    action: 'metrics.read',
    path: '/metrics',
    summary: 'Figures of the team for Prometheus, in its text format; scraped with an API key as bearer token',
    contentType: 'text/plain',
    run: async ({ platform, actor }) =>
      new Response(await platform.traffic.metrics(actor), { headers: { 'content-type': metricsContentType, 'cache-control': 'no-store' } }),
  }),
}
