import { z } from 'zod'
import { instanceView } from '@/shared/views'
import { endpoint, stream } from '../api/endpoint'
import { instancePath, logQuery, projectPath } from '../api/fields'

export const instanceList = z.object({ items: z.array(instanceView) })

export const instanceEndpoints = {
  list: endpoint({
    id: 'listInstances',
    action: 'instance.read',
    method: 'GET',
    path: '/projects/{project}/instances',
    summary: 'List the instances of a project',
    input: projectPath,
    output: instanceList,
    run: async ({ platform, actor, input }) => ({ items: await platform.instances.list(actor, input.project) }),
  }),
  logs: stream({
    id: 'streamInstanceLogs',
    action: 'instance.read',
    path: '/instances/{instanceId}/logs',
    summary: 'What an instance writes, as server-sent events',
    input: instancePath.extend(logQuery.shape),
    resumable: true,
    run: ({ platform, actor, input: { instanceId, follow, ...query }, signal }) =>
      platform.instances.logs(actor, instanceId, { ...query, follow: follow === '1', signal }),
  }),
}
