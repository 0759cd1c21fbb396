import { AppError } from '@/shared/errors'
import { handleCliPackage } from './cli-package'
import { handleHealth } from './health'
import { errorResponse, newRequestId } from './http-error'
import { handleRest } from './rest/handler'
import { handleOpenApi } from './rest/openapi'
import { handleTrpc } from './trpc-handler'

/** Serves the API without the dashboard (role `api`). Sign-in needs the dashboard; keys and its cookies are accepted. */
export function handleApi(request: Request): Response | Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/api/health') return handleHealth()
  if (pathname === '/cli.tgz') return handleCliPackage(request)
  if (pathname === '/api/v1/openapi.json') return handleOpenApi(request)
  if (pathname.startsWith('/api/v1/')) return handleRest(request)
  if (pathname.startsWith('/api/trpc/')) return handleTrpc(request)
  const nextAction = 'This process serves the API alone, below /api/v1. The dashboard is the role "web".'
  return errorResponse(new AppError('ERR_NOT_FOUND', `There is no ${pathname}.`, { nextAction }), newRequestId())
}
