import { rulesPatch, rulesUpdated, rulesView } from '@/shared/rules-settings'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const rulesEndpoints = {
  get: endpoint({
    id: 'getRules',
    action: 'project.read',
    method: 'GET',
    path: '/projects/{project}/rules',
    summary: 'Show the rules of a project: what was set, and what its files say',
    input: projectPath,
    output: rulesView,
    run: ({ platform, actor, input }) => platform.rules.get(actor, input.project),
  }),
  update: endpoint({
    id: 'updateRules',
    action: 'project.update',
    method: 'PATCH',
    path: '/projects/{project}/rules',
    summary: 'Change redirects, rewrites, headers, protection and limits of a project; in effect at once',
    input: rulesPatch.extend(projectPath.shape),
    output: rulesUpdated,
    run: ({ platform, actor, input: { project, ...patch } }) => platform.rules.update(actor, project, patch),
  }),
}
