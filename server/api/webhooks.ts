import { AppError, isAppError } from '@/shared/errors'
import { isGitProvider } from '@/shared/git-events'
import { versionHeader } from '@/shared/naming'
import { getPlatform } from '../platform'
import { readBytes } from './body'
import { errorResponse, methodNotAllowed, newRequestId, reportUnexpected } from './http-error'
import { countHook, countUnknown } from './request-limit'
import { restBase } from './rest/catalogue'

/** Requests that prove themselves by a signature or a secret address: webhooks of Git hosts, and deploy hooks. They take no key and no session. */

/** What serves the request instead of the routes of REST v1; null: those do. */
export function receiverOf(request: Request): ((request: Request) => Promise<Response>) | null {
  const [kind, provider = ''] = segmentsAfter('', request)
  if (kind === 'webhooks' && isGitProvider(provider)) return handleWebhook
  return kind === 'hooks' ? handleDeployHook : null
}

/** Serves `POST /api/v1/webhooks/{provider}/{hookId}`. Answers once the delivery is recorded; what is deployed is decided afterwards. */
function handleWebhook(request: Request): Promise<Response> {
  return answering(request, async (extra) => {
    const [provider = '', hookId = ''] = segmentsAfter('webhooks', request)
    if (!isGitProvider(provider) || hookId === '') throw unknownAddress()
    const { gitEvents, settings } = getPlatform()
    refuseLength(request, settings.webhookBytes)
    const hook = await gitEvents.open(provider, hookId, request.headers)
    const body = await readBytes(request, settings.webhookBytes)
    const { headers } = request
    const receipt = await gitEvents.receive(hook, provider, { headers, body }, () => countHook('webhook', hook.id, extra))
    return json(receipt.decision === 'pending' ? 202 : 200, receipt)
  })
}

/** Serves `POST /api/v1/hooks/{token}`. */
function handleDeployHook(request: Request): Promise<Response> {
  return answering(request, async (extra) => {
    const [token = ''] = segmentsAfter('hooks', request)
    const deployment = await getPlatform().gitEvents.useDeployHook(token, (hookId) => countHook('deploy-hook', hookId, extra))
    return json(202, deployment)
  })
}

async function answering(request: Request, work: (extra: Headers) => Promise<Response>): Promise<Response> {
  if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow: 'OPTIONS, POST', 'cache-control': 'no-store' } })
  if (request.method !== 'POST') return methodNotAllowed(request.method, 'OPTIONS, POST')
  const extra = new Headers({ [versionHeader]: getPlatform().settings.version })
  const requestId = newRequestId()
  const response = await work(extra)
    .catch((error: unknown) => {
      // Guesses of addresses and secrets are slowed down by the address they come from.
      if (isAppError(error) && (error.code === 'ERR_UNAUTHENTICATED' || error.code === 'ERR_NOT_FOUND')) countUnknown(request.headers, extra)
      throw error
    })
    .catch((error: unknown) => {
      // Without the address: it holds the token of a deploy hook.
      reportUnexpected(error, requestId, 'receiving a webhook')
      return errorResponse(error, requestId)
    })
  for (const [name, value] of extra) response.headers.set(name, value)
  return response
}

const json = (status: number, body: object): Response =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })

const segmentsAfter = (name: string, request: Request): string[] =>
  new URL(request.url).pathname.slice(`${restBase}/${name}`.length).split('/').filter(Boolean)

const unknownAddress = (): AppError =>
  new AppError('ERR_NOT_FOUND', 'There is no webhook at this address.', {
    nextAction: "Copy the address from the project's settings to the Git host.",
  })

/** A body that is too large by its own account is refused before a byte of it is read. */
function refuseLength({ headers }: Request, maxBytes: number): void {
  if (Number(headers.get('content-length') ?? 0) <= maxBytes) return
  throw new AppError('ERR_TOO_LARGE', `The delivery is larger than ${Math.floor(maxBytes / 1024)} KiB.`, {
    nextAction: 'Deliver fewer kinds of events, or raise SWITCHYARD_WEBHOOK_MAX_MB.',
  })
}
