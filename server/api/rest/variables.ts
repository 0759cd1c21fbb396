import { variableInput, variableView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { defineRoute } from './route'
import { projectPath, variableList } from './schemas'

const variablePath = projectPath.extend({ key: variableInput.shape.key })

export const variableRoutes = [
  defineRoute({
    id: 'listVariables',
    method: 'GET',
    path: '/projects/{project}/variables',
    action: 'variable.read',
    summary: 'List the variables of a project, without their values',
    params: projectPath,
    answer: { status: 200, schema: variableList },
    handle: async ({ actor, params }) => ({ items: await getPlatform().variables.list(actor, params.project) }),
  }),
  defineRoute({
    id: 'setVariable',
    method: 'PUT',
    path: '/projects/{project}/variables/{key}',
    action: 'variable.write',
    summary: 'Set a variable; it is in effect from the next deployment on',
    params: variablePath,
    body: variableInput.omit({ key: true }),
    answer: { status: 200, schema: variableView },
    handle: ({ actor, params, body }) => getPlatform().variables.set(actor, params.project, { key: params.key, ...body }),
  }),
  defineRoute({
    id: 'removeVariable',
    method: 'DELETE',
    path: '/projects/{project}/variables/{key}',
    action: 'variable.write',
    summary: 'Remove a variable',
    params: variablePath,
    answer: { status: 204 },
    handle: ({ actor, params }) => getPlatform().variables.remove(actor, params.project, params.key),
  }),
]
