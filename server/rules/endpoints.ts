import { edgePolicyPatch, edgePolicyUpdated, edgePolicyView } from '@/shared/rules-settings'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const edgePolicyEndpoints = {
  get: endpoint({
    id: 'getRules',
    action: 'project.read',
    method: 'GET',
    path: '/projects/{project}/rules',
    summary: 'Show the rules of a project: what was set, and what its files say',
    input: projectPath,
    output: edgePolicyView,
    run: ({ platform, actor, input }) => platform.edgePolicy.get(actor, input.project),
  }),
  update: endpoint({
    id: 'updateRules',
    action: 'project.update',
    method: 'PATCH',
    path: '/projects/{project}/rules',
    summary: 'Change redirects, rewrites, headers, protection and limits of a project; in effect at once',
    input: edgePolicyPatch.extend(projectPath.shape),
    output: edgePolicyUpdated,
    run: ({ platform, actor, input: { project, ...patch } }) => platform.edgePolicy.update(actor, project, patch),
  }),
}
