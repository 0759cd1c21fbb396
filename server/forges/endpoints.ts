import { z } from 'zod'
import { forgeInput, forgeView } from '@/shared/forges'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const forgeEndpoints = {
  get: endpoint({
    id: 'getGitConnection',
    action: 'forge.read',
    method: 'GET',
    path: '/projects/{project}/git-connection',
    summary: 'Show the connection of a project to the API of its Git host, without its token',
    input: projectPath,
    output: z.object({ connection: forgeView.nullable() }),
    run: async ({ platform, actor, input }) => ({ connection: await platform.forges.get(actor, input.project) }),
  }),
  set: endpoint({
    id: 'setGitConnection',
    action: 'forge.write',
    method: 'PUT',
    path: '/projects/{project}/git-connection',
    summary: 'Report deployments to the Git host: commit statuses, a comment of each pull request, deployments',
    input: projectPath.extend(forgeInput.shape),
    example: { provider: 'github', repository: 'acme/shop', token: 'github_pat_of_a_person' },
    output: z.object({ connection: forgeView }),
    run: async ({ platform, actor, input: { project, ...connection } }) => ({ connection: await platform.forges.set(actor, project, connection) }),
  }),
  remove: endpoint({
    id: 'removeGitConnection',
    action: 'forge.write',
    method: 'DELETE',
    path: '/projects/{project}/git-connection',
    summary: 'Report to the Git host no longer, and forget the token',
    input: projectPath,
    run: ({ platform, actor, input }) => platform.forges.remove(actor, input.project),
  }),
}
