import { z } from 'zod'
import { variableInput, variableView } from '@/shared/views'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const variableList = z.object({ items: z.array(variableView) })

export const variableEndpoints = {
  list: endpoint({
    id: 'listVariables',
    action: 'variable.read',
    method: 'GET',
    path: '/projects/{project}/variables',
    summary: 'List the variables of a project, without their values',
    input: projectPath,
    output: variableList,
    run: async ({ platform, actor, input }) => ({ items: await platform.variables.list(actor, input.project) }),
  }),
  set: endpoint({
    id: 'setVariable',
    action: 'variable.write',
    method: 'PUT',
    path: '/projects/{project}/variables/{key}',
    summary: 'Set a variable; it is in effect from the next deployment on',
    input: projectPath.extend(variableInput.shape),
    example: { key: 'API_URL', value: 'https://api.example.com' },
    output: variableView,
    run: ({ platform, actor, input: { project, ...variable } }) => platform.variables.set(actor, project, variable),
  }),
  remove: endpoint({
    id: 'removeVariable',
    action: 'variable.write',
    method: 'DELETE',
    path: '/projects/{project}/variables/{key}',
    summary: 'Remove a variable',
    input: projectPath.extend({ key: variableInput.shape.key }),
    example: { key: 'API_URL' },
    run: ({ platform, actor, input }) => platform.variables.remove(actor, input.project, input.key),
  }),
}
