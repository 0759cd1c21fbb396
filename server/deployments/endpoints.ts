import { Readable } from 'node:stream'
import { z } from 'zod'
import { deploymentComparison } from '@/shared/comparison'
import { deploymentsQuery } from '@/shared/deployment-list'
import { deploymentInput, deploymentSummary, deploymentView } from '@/shared/views'
import { type Call, endpoint, file, stream, upload } from '../api/endpoint'
import { deploymentPath, logQuery, projectPath } from '../api/fields'

export const createdDeployment = deploymentView.extend({ deploymentId: z.string() })
export const deploymentList = z.object({ items: z.array(deploymentSummary), nextCursor: z.string().nullable() })
export const uploadedSource = z.object({
  source: z.string().meta({ description: 'Pass it as `source` when creating a deployment.' }),
  sizeBytes: z.number(),
})

async function create({ platform, actor, input }: Call<'deployment.create', z.output<typeof deploymentInput>>) {
  const deployment = await platform.deployments.create(actor, input)
  return { ...deployment, deploymentId: deployment.id }
}
const creation = {
  action: 'deployment.create',
  method: 'POST',
  input: deploymentInput,
  output: createdDeployment,
  status: 201,
  run: create,
} as const

const environmentName = {
  environment: z.string().trim().min(1).max(100).nullish().meta({ description: 'Name or id of the environment. Default: production.' }),
}
const releasing = { action: 'deployment.release', method: 'POST', output: z.object({ deploymentId: z.string() }), status: 202 } as const

export const deploymentEndpoints = {
  create: endpoint({
    ...creation,
    id: 'createDeployment',
    path: '/deployments',
    summary: 'Deploy a project; 409 while one is running for the same environment',
  }),
  deploy: endpoint({ ...creation, id: 'deploy', path: '/deploy', summary: 'The same as POST /deployments' }),
  list: endpoint({
    id: 'listDeployments',
    action: 'deployment.read',
    method: 'GET',
    path: '/deployments',
    summary: 'List deployments, newest first',
    input: deploymentsQuery,
    output: deploymentList,
    run: ({ platform, actor, input: { limit, cursor, ...filter } }) => platform.deployments.list(actor, filter, { limit, cursor }),
  }),
  get: endpoint({
    id: 'getDeployment',
    action: 'deployment.read',
    method: 'GET',
    path: '/deployments/{deploymentId}',
    summary: 'Show a deployment with its steps',
    input: deploymentPath,
    output: deploymentView,
    run: ({ platform, actor, input }) => platform.deployments.get(actor, input.deploymentId),
  }),
  cancel: endpoint({
    id: 'cancelDeployment',
    action: 'deployment.cancel',
    method: 'POST',
    path: '/deployments/{deploymentId}/cancel',
    summary: 'Stop a running deployment',
    input: deploymentPath,
    output: deploymentView,
    run: ({ platform, actor, input }) => platform.deployments.cancel(actor, input.deploymentId),
  }),
  rollBack: endpoint({
    ...releasing,
    id: 'rollBackDeployment',
    path: '/deployments/{deploymentId}/rollback',
    summary: 'Make the release of an earlier deployment live again, without a build',
    input: deploymentPath,
    run: async ({ platform, actor, input }) => ({ deploymentId: await platform.deployments.rollBack(actor, input.deploymentId) }),
  }),
  rollBackProject: endpoint({
    ...releasing,
    id: 'rollBackProject',
    path: '/projects/{project}/rollback',
    summary: 'Return to the version before the live one; pauses automatic deploys of the environment',
    input: projectPath.extend(environmentName),
    run: async ({ platform, actor, input }) => ({
      deploymentId: await platform.deployments.rollBackProject(actor, input.project, input.environment ?? undefined),
    }),
  }),
  promote: endpoint({
    ...releasing,
    id: 'promoteDeployment',
    path: '/deployments/{deploymentId}/promote',
    summary: 'Release the artifact of a deployment in another environment, with that environment’s variables',
    input: deploymentPath.extend(environmentName),
    run: async ({ platform, actor, input }) => ({
      deploymentId: await platform.deployments.promote(actor, input.deploymentId, input.environment ?? undefined),
    }),
  }),
  redeploy: endpoint({
    ...releasing,
    id: 'redeployArtifact',
    path: '/deployments/{deploymentId}/redeploy',
    summary: 'Release the artifact of a deployment again with the variables and settings of now, without a build',
    input: deploymentPath,
    run: async ({ platform, actor, input }) => ({ deploymentId: await platform.deployments.redeploy(actor, input.deploymentId) }),
  }),
  restart: endpoint({
    ...releasing,
    id: 'restartProject',
    path: '/projects/{project}/restart',
    summary: 'Start the live version anew with the variables and settings of now; no request fails',
    input: projectPath.extend(environmentName),
    run: async ({ platform, actor, input }) => ({
      deploymentId: await platform.deployments.restart(actor, input.project, input.environment ?? undefined),
    }),
  }),
  compare: endpoint({
    id: 'compareDeployments',
    action: 'deployment.read',
    method: 'GET',
    path: '/deployments/{deploymentId}/compare',
    summary: 'What differs between two versions, and what a release of the deployment would change; values of variables are never shown',
    input: deploymentPath.extend({
      with: z.string().min(1).max(64).optional().meta({ description: 'Id of the deployment to compare with. Default: the live one.' }),
      environment: z.string().min(1).max(100).optional().meta({ description: 'Name or id of the environment it would serve. Default: its own.' }),
      present: z
        .enum(['0', '1'])
        .default('0')
        .meta({ description: '1: with the variables and settings that a new release would get now, instead of those of its own release.' }),
    }),
    output: deploymentComparison,
    run: ({ platform, actor, input: { present, ...input } }) => platform.deployments.compare(actor, { ...input, present: present === '1' }),
  }),
  pin: endpoint({
    id: 'pinDeployment',
    action: 'deployment.release',
    method: 'PUT',
    path: '/deployments/{deploymentId}/pin',
    summary: 'Keep the artifact of a deployment until it is unpinned, so that a rollback to it stays possible',
    input: deploymentPath.extend({ pinned: z.boolean() }),
    example: { pinned: true },
    output: deploymentView,
    run: ({ platform, actor, input }) => platform.deployments.pin(actor, input.deploymentId, input.pinned),
  }),
  logs: stream({
    id: 'streamDeploymentLogs',
    action: 'deployment.read',
    path: '/deployments/{deploymentId}/logs',
    summary: 'Log lines as server-sent events; ends with the deployment',
    input: deploymentPath.extend(logQuery.shape).extend({
      until: z
        .enum(['settled', 'stopped'])
        .default('settled')
        .meta({ description: 'stopped: the output of the app too, until it no longer serves.' }),
    }),
    resumable: true,
    run: ({ platform, actor, input: { deploymentId, follow, ...query }, signal }) =>
      platform.deployments.logs(actor, deploymentId, { ...query, follow: follow === '1', signal }),
  }),
  watch: stream({
    id: 'watchDeployment',
    action: 'deployment.read',
    path: null,
    summary: 'The deployment now, and again after each change, until it has ended',
    input: deploymentPath,
    resumable: false,
    run: ({ platform, actor, input, signal }) => platform.deployments.watch(actor, input.deploymentId, signal),
  }),
  download: file({
    id: 'downloadDeployment',
    action: 'deployment.read',
    path: '/deployments/{deploymentId}/download',
    summary: 'What was built, as a zip archive',
    input: deploymentPath,
    contentType: 'application/zip',
    async run({ platform, actor, input, signal }) {
      const { fileName, stream: content } = await platform.deployments.download(actor, input.deploymentId)
      const readable = Readable.from(content, { objectMode: false })
      signal.addEventListener('abort', () => readable.destroy(), { once: true })
      const body = Readable.toWeb(readable) as ReadableStream<Uint8Array>
      const name = fileName.replace(/[^A-Za-z0-9._-]+/g, '-')
      return new Response(body, {
        headers: { 'content-type': 'application/zip', 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' },
      })
    },
  }),
  uploadSource: upload({
    id: 'uploadSource',
    action: 'deployment.create',
    path: '/sources',
    summary: 'Upload a folder as tar or tar.gz, to deploy it instead of the repository',
    output: uploadedSource,
    run: ({ platform, actor, body }) => platform.deployments.uploadSource(actor, body),
  }),
}
