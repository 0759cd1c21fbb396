import { edgePolicyPatch, edgePolicyUpdated, edgePolicyView } from '@/shared/edge-settings'
import { getPlatform } from '../../platform'
import { defineRoute } from './route'
import { projectPath } from './schemas'

export const edgePolicyRoutes = [
  defineRoute({
    id: 'getRules',
    method: 'GET',
    path: '/projects/{project}/rules',
    action: 'project.read',
    summary: 'Show the rules of a project: what was set, and what its files say',
    params: projectPath,
    answer: { status: 200, schema: edgePolicyView },
    handle: ({ actor, params }) => getPlatform().edgePolicy.get(actor, params.project),
  }),
  defineRoute({
    id: 'updateRules',
    method: 'PATCH',
    path: '/projects/{project}/rules',
    action: 'project.update',
    summary: 'Change redirects, rewrites, headers, protection and limits of a project; in effect at once',
    params: projectPath,
    body: edgePolicyPatch,
    answer: { status: 200, schema: edgePolicyUpdated },
    handle: ({ actor, params, body }) => getPlatform().edgePolicy.update(actor, params.project, body),
  }),
]
