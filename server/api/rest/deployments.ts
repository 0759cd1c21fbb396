import { Readable } from 'node:stream'
import { z } from 'zod'
import { deploymentsQuery } from '@/shared/deployment-list'
import { deploymentInput, deploymentView } from '@/shared/views'
import { type Actor, getPlatform } from '../../platform'
import { streamLines } from './event-stream'
import { defineRoute } from './route'
import { createdDeployment, deploymentList, deploymentPath, logQuery, uploadedSource } from './schemas'

async function create({ actor, body }: { actor: Actor; body: z.output<typeof deploymentInput> }) {
  const deployment = await getPlatform().deployments.create(actor, body)
  return { ...deployment, deploymentId: deployment.id }
}

const creation = {
  method: 'POST',
  action: 'deployment.create',
  body: deploymentInput,
  answer: { status: 201, schema: createdDeployment },
  handle: create,
} as const

export const deploymentRoutes = [
  defineRoute({
    ...creation,
    id: 'createDeployment',
    path: '/deployments',
    summary: 'Deploy a project; 409 while one is running for the same environment',
  }),
  defineRoute({ ...creation, id: 'deploy', path: '/deploy', summary: 'The same as POST /deployments' }),
  defineRoute({
    id: 'listDeployments',
    method: 'GET',
    path: '/deployments',
    action: 'deployment.read',
    summary: 'List deployments, newest first',
    query: deploymentsQuery,
    answer: { status: 200, schema: deploymentList },
    handle: ({ actor, query: { projectId, status, limit, cursor } }) =>
      getPlatform().deployments.list(actor, { projectId, status }, cursor === undefined ? { limit } : { limit, cursor }),
  }),
  defineRoute({
    id: 'getDeployment',
    method: 'GET',
    path: '/deployments/{deploymentId}',
    action: 'deployment.read',
    summary: 'Show a deployment with its steps',
    params: deploymentPath,
    answer: { status: 200, schema: deploymentView },
    handle: ({ actor, params }) => getPlatform().deployments.get(actor, params.deploymentId),
  }),
  defineRoute({
    id: 'cancelDeployment',
    method: 'POST',
    path: '/deployments/{deploymentId}/cancel',
    action: 'deployment.cancel',
    summary: 'Stop a running deployment',
    params: deploymentPath,
    answer: { status: 200, schema: deploymentView },
    handle: ({ actor, params }) => getPlatform().deployments.cancel(actor, params.deploymentId),
  }),
  defineRoute({
    id: 'streamDeploymentLogs',
    method: 'GET',
    path: '/deployments/{deploymentId}/logs',
    action: 'deployment.read',
    summary: 'Log lines as server-sent events; ends with the deployment',
    params: deploymentPath,
    query: logQuery.extend({
      until: z
        .enum(['settled', 'stopped'])
        .default('settled')
        .meta({ description: 'stopped: the output of the app too, until it no longer serves.' }),
    }),
    answer: { status: 200, contentType: 'text/event-stream' },
    handle: ({ actor, params, query, headers, signal }) => {
      const after = headers.get('last-event-id') ?? query.after
      const options = { after, tail: query.tail, follow: query.follow === '1', until: query.until }
      return streamLines((ended) => getPlatform().deployments.logs(actor, params.deploymentId, { ...options, signal: ended }), signal)
    },
  }),
  defineRoute({
    id: 'downloadDeployment',
    method: 'GET',
    path: '/deployments/{deploymentId}/download',
    action: 'deployment.read',
    summary: 'What was built, as a zip archive',
    params: deploymentPath,
    answer: { status: 200, contentType: 'application/zip' },
    handle: async ({ actor, params, signal }) => {
      const { fileName, stream } = await getPlatform().deployments.download(actor, params.deploymentId)
      const readable = Readable.from(stream, { objectMode: false })
      signal.addEventListener('abort', () => readable.destroy(), { once: true })
      const body = Readable.toWeb(readable) as ReadableStream<Uint8Array>
      const name = fileName.replace(/[^A-Za-z0-9._-]+/g, '-')
      return new Response(body, {
        headers: { 'content-type': 'application/zip', 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' },
      })
    },
  }),
  defineRoute({
    id: 'uploadSource',
    method: 'POST',
    path: '/sources',
    action: 'deployment.create',
    summary: 'Upload a folder as tar or tar.gz, to deploy it instead of the repository',
    body: 'raw',
    answer: { status: 201, schema: uploadedSource },
    handle: ({ actor, body }) => getPlatform().deployments.uploadSource(actor, body),
  }),
]
