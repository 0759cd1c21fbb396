import { z } from 'zod'
import { variableInput, variableView } from '@/shared/views'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const variableList = z.object({ items: z.array(variableView) })

const environmentField = {
  environment: z
    .string()
    .min(1)
    .max(100)
    .optional()
    .meta({ description: 'Name or id of the environment; `preview` holds what all previews inherit. Default: production.' }),
}

export const variableEndpoints = {
  list: endpoint({
    id: 'listVariables',
    action: 'variable.read',
    method: 'GET',
    path: '/projects/{project}/variables',
    summary: 'List the variables of a project, without their values',
    input: projectPath.extend(environmentField),
    output: variableList,
    run: async ({ platform, actor, input }) => ({ items: await platform.variables.list(actor, input.project, input.environment) }),
  }),
  set: endpoint({
    id: 'setVariable',
    action: 'variable.write',
    method: 'PUT',
    path: '/projects/{project}/variables/{key}',
    summary: 'Set a variable; it is in effect from the next deployment on',
    input: projectPath.extend({ ...environmentField, ...variableInput.shape }),
    example: { key: 'API_URL', value: 'https://api.example.com' },
    output: variableView,
    run: ({ platform, actor, input: { project, environment, ...variable } }) => platform.variables.set(actor, project, variable, environment),
  }),
  remove: endpoint({
    id: 'removeVariable',
    action: 'variable.write',
    method: 'DELETE',
    path: '/projects/{project}/variables/{key}',
    summary: 'Remove a variable',
    input: projectPath.extend({ ...environmentField, key: variableInput.shape.key }),
    example: { key: 'API_URL' },
    run: ({ platform, actor, input }) => platform.variables.remove(actor, input.project, input.key, input.environment),
  }),
}
