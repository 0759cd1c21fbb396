import { z } from 'zod'
import { domainPage, domainView } from '@/shared/domains'
import { errorStatus } from '@/shared/errors'
import { gitProviders } from '@/shared/git-events'
import { deploymentSummary, deploymentView, instanceView, meView, projectView, variableView, wireErrorSchema } from '@/shared/views'
import { createdDeployment, deploymentList, uploadedSource } from '../../deployments/endpoints'
import { instanceList } from '../../instances/endpoints'
import { createdProject, projectList } from '../../projects/endpoints'
import { variableList } from '../../projects/variable-endpoints'
import { isFresh, weakEtagOf } from '../etag'
import { methodNotAllowed } from '../http-error'
import { catalogue, restBase } from './catalogue'
import { maxKeyLength, mayBeKeyed } from './idempotency-key'
import type { RestRoute } from './route'

const documentMethods = 'GET, HEAD, OPTIONS'

type Json = Record<string, unknown>

/** Schemas that the document defines by name; all others are written inline. */
const named: Readonly<Record<string, z.ZodType>> = {
  Error: z.object({ error: wireErrorSchema }),
  Me: meView,
  Project: projectView,
  CreatedProject: createdProject,
  ProjectList: projectList,
  Deployment: deploymentView,
  CreatedDeployment: createdDeployment,
  DeploymentSummary: deploymentSummary,
  DeploymentList: deploymentList,
  Variable: variableView,
  VariableList: variableList,
  Domain: domainView,
  DomainList: domainPage,
  Instance: instanceView,
  InstanceList: instanceList,
  UploadedSource: uploadedSource,
}
const nameOf = new Map(Object.entries(named).map(([name, schema]) => [schema, name]))

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  return rest
}

function reference(schema: z.ZodType, io: 'input' | 'output'): Json {
  const name = nameOf.get(schema)
  return name ? { $ref: `#/components/schemas/${name}` } : jsonSchema(schema, io)
}

/** OpenAPI 3.1 document of REST v1, generated from the schemas that validate requests. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {}
  for (const route of catalogue) {
    paths[route.path] ??= {}
    Object.assign(paths[route.path] as Json, { [route.method.toLowerCase()]: operation(route) })
  }
  Object.assign(paths, receivers())
  return {
    openapi: '3.1.0',
    info: {
      title: 'Switchyard',
      version: '1',
      description: 'Projects, deployments, variables and instances of one team. Every error is `{"error": {code, message, nextAction?, …}}`.',
    },
    servers: [{ url: restBase }],
    security: [{ apiKey: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'An API key of the team.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'next-auth.session-token',
          description: 'The dashboard’s own session (by https `__Host-next-auth.session-token`); changes from the dashboard’s origin only.',
        },
      },
      schemas: Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, jsonSchema(schema, 'output')])),
    },
  }
}

function operation(route: RestRoute): Json {
  return {
    operationId: route.id,
    summary: route.summary,
    parameters: [...parameters(route, 'path'), ...parameters(route, 'query'), ...(mayBeKeyed(route) ? [keyParameter] : [])],
    ...(route.body ? { requestBody: { required: true, content: requestContent(route.body, route.example) } } : {}),
    responses: {
      [route.answer.status]: success(route),
      default: { description: `An error: ${errorCodes()}`, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
    },
  }
}

const descriptions = { 200: 'OK', 201: 'Created', 202: 'Accepted: it has begun, and goes on after this answer' } as const

/** Addresses that take neither a key nor a session: see server/api/webhooks.ts. */
function receivers(): Record<string, Json> {
  const inPath = (name: string, schema: Json = { type: 'string' }): Json => ({ name, in: 'path', required: true, schema })
  const failure = { description: `An error: ${errorCodes()}`, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  const post = (operationId: string, summary: string, parts: Json, status: string, description: string): Json => ({
    post: { operationId, summary, security: [], ...parts, responses: { [status]: { description }, default: failure } },
  })
  return {
    '/webhooks/{provider}/{hookId}': post(
      'receiveWebhook',
      'Takes a delivery of a Git host, proved by the signature or token that the host sends. 202: recorded, decided afterwards; 200: decided already',
      {
        parameters: [inPath('provider', { type: 'string', enum: [...gitProviders] }), inPath('hookId')],
        requestBody: { required: true, content: { 'application/json': {}, 'application/x-www-form-urlencoded': {} } },
      },
      '2XX',
      'Recorded',
    ),
    '/hooks/{token}': post('useDeployHook', 'Deploys the head of the branch of a deploy hook', { parameters: [inPath('token')] }, '202', 'Queued'),
  }
}

const keyParameter: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A text of your own, such as a UUID. Sent again with it, the request has no second effect and gets the first answer, with `Idempotent-Replayed: true`; with another body 422, while it runs 409.',
  schema: { type: 'string', minLength: 1, maxLength: maxKeyLength },
}

const errorCodes = (): string => [...new Set(Object.values(errorStatus))].sort().join(', ')

function requestContent(body: z.ZodType | 'raw', example: Json | null): Json {
  if (body !== 'raw') return { 'application/json': { schema: reference(body, 'input'), ...(example ? { example } : {}) } }
  return { 'application/gzip': {}, 'application/x-tar': {} }
}

function success({ answer }: RestRoute): Json {
  if (answer.status === 204) return { description: 'Done' }
  const content = 'schema' in answer ? { 'application/json': { schema: reference(answer.schema, 'output') } } : { [answer.contentType]: {} }
  return { description: descriptions[answer.status], content }
}

function parameters(route: RestRoute, place: 'path' | 'query'): Json[] {
  const shape = place === 'path' ? route.params : route.query
  if (!shape) return []
  const { properties = {}, required = [] } = jsonSchema(shape, 'input') as { properties?: Record<string, Json>; required?: string[] }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description ? { description } : {}),
    schema,
  }))
}

const text = (): string => `${JSON.stringify(openApiDocument(), null, 2)}\n`

/** The content of docs/openapi.json. */
export const openApiText = text

let cached: { body: string; etag: string } | undefined
/** Serves the document without authentication, because the code is public. Caches must revalidate: the URL stays the same after an update. */
export function handleOpenApi(request: Request): Response {
  const { method, headers: asked } = request
  if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow: documentMethods } })
  if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(method, documentMethods)
  const body = cached?.body ?? text()
  cached ??= { body, etag: weakEtagOf(body) }
  const headers = { etag: cached.etag, 'cache-control': 'public, no-cache' }
  if (isFresh(asked, cached.etag)) return new Response(null, { status: 304, headers })
  const length = String(Buffer.byteLength(body))
  return new Response(method === 'HEAD' ? null : body, { headers: { ...headers, 'content-type': 'application/json', 'content-length': length } })
}
