import { z } from 'zod'
import { environmentInput, environmentPatch, environmentView } from '@/shared/environments'
import { endpoint } from '../api/endpoint'
import { projectPath } from '../api/fields'

export const environmentPath = z.object({ environment: z.string().min(1).max(64).meta({ description: 'Id of the environment.' }) })
export const environmentList = z.object({ items: z.array(environmentView) })

export const environmentEndpoints = {
  list: endpoint({
    id: 'listEnvironments',
    action: 'project.read',
    method: 'GET',
    path: '/projects/{project}/environments',
    summary: 'List the environments of a project: production, custom ones, previews',
    input: projectPath.extend({
      closed: z.enum(['0', '1']).default('0').meta({ description: '1: closed environments too.' }),
    }),
    output: environmentList,
    run: async ({ platform, actor, input }) => ({
      items: await platform.environments.list(actor, input.project, { closed: input.closed === '1' }),
    }),
  }),
  get: endpoint({
    id: 'getEnvironment',
    action: 'project.read',
    method: 'GET',
    path: '/environments/{environment}',
    summary: 'Show an environment with its live deployment and what a rollback returns to',
    input: environmentPath,
    output: environmentView,
    run: ({ platform, actor, input }) => platform.environments.get(actor, input.environment),
  }),
  create: endpoint({
    id: 'createEnvironment',
    action: 'environment.write',
    method: 'POST',
    path: '/projects/{project}/environments',
    summary: 'Create a custom environment, such as staging',
    input: projectPath.extend(environmentInput.shape),
    example: { name: 'staging' },
    output: environmentView,
    status: 201,
    run: ({ platform, actor, input: { project, ...input } }) => platform.environments.create(actor, project, input),
  }),
  update: endpoint({
    id: 'updateEnvironment',
    action: 'environment.write',
    method: 'PUT',
    path: '/environments/{environment}',
    summary: 'Change branch, automatic deploys, lock and settings of an environment',
    input: environmentPath.extend(environmentPatch.shape),
    output: environmentView,
    run: ({ platform, actor, input: { environment, ...patch } }) => platform.environments.update(actor, environment, patch),
  }),
  close: endpoint({
    id: 'closeEnvironment',
    action: 'environment.write',
    method: 'DELETE',
    path: '/environments/{environment}',
    summary: 'Stop a preview or custom environment; its history stays',
    input: environmentPath,
    run: ({ platform, actor, input }) => platform.environments.close(actor, input.environment),
  }),
  approve: endpoint({
    id: 'approveEnvironment',
    action: 'environment.approve',
    method: 'POST',
    path: '/environments/{environment}/approve',
    summary: 'Let the code of a request from a fork run in its preview',
    input: environmentPath.extend({
      commitSha: z
        .string()
        .min(7)
        .max(64)
        .nullish()
        .meta({ description: '`waitingCommit` of the environment: the commit that was read and may run.' }),
    }),
    output: environmentView,
    async run({ platform, actor, input: { environment: id, commitSha = null } }) {
      const environment = await platform.environments.approve(actor, id, commitSha)
      if (commitSha) await platform.gitEvents.approvePreview(actor, id, commitSha)
      return environment
    },
  }),
}
