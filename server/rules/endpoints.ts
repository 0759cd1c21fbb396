import { z } from 'zod'
import { rulesPatch, rulesUpdated, rulesView } from '@/shared/rules-settings'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

const environment = z
  .string()
  .min(1)
  .max(64)
  .optional()
  .meta({ description: 'Name or id of an environment whose own rules are meant; absent: those of the project.' })

export const rulesEndpoints = {
  get: endpoint({
    id: 'getRules',
    action: 'project.read',
    method: 'GET',
    path: '/projects/{project}/rules',
    summary: 'Show the rules of a project: what was set, and what its files say',
    input: projectPath.extend({ environment }),
    output: rulesView,
    run: ({ platform, actor, input }) => platform.rules.get(actor, input.project, input.environment),
  }),
  update: endpoint({
    id: 'updateRules',
    action: 'project.update',
    method: 'PATCH',
    path: '/projects/{project}/rules',
    summary: 'Change redirects, rewrites, headers, protection and limits of a project; in effect at once',
    input: rulesPatch.extend({ ...projectPath.shape, environment }),
    output: rulesUpdated,
    run: ({ platform, actor, input: { project, environment, ...patch } }) => platform.rules.update(actor, project, patch, environment),
  }),
}
