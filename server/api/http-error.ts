import { randomBytes } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { ZodError } from 'zod'
import { AppError, type ErrorCode, errorStatus, isAppError, type WireError } from '@/shared/errors'
import { diskFullError, isDiskFull } from '@/shared/node/disk'
import { getPlatform } from '../platform'

/** Maps errors to HTTP responses for tRPC, REST and SSE. */

export const newRequestId = (): string => randomBytes(8).toString('hex')

type TrpcCode = TRPCError['code']

const trpcCodes: Readonly<Record<number, TrpcCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_SUPPORTED',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  422: 'UNPROCESSABLE_CONTENT',
  429: 'TOO_MANY_REQUESTS',
  500: 'INTERNAL_SERVER_ERROR',
  503: 'SERVICE_UNAVAILABLE',
  504: 'GATEWAY_TIMEOUT',
}

export const trpcCode = (status: number): TrpcCode => trpcCodes[status] ?? 'INTERNAL_SERVER_ERROR'

/** Errors created by tRPC itself: unknown path, unreadable body, wrong method. */
const codesOfTrpc: Partial<Record<TrpcCode, ErrorCode>> = {
  BAD_REQUEST: 'ERR_INVALID_INPUT',
  PARSE_ERROR: 'ERR_INVALID_INPUT',
  UNSUPPORTED_MEDIA_TYPE: 'ERR_INVALID_INPUT',
  METHOD_NOT_SUPPORTED: 'ERR_METHOD_NOT_ALLOWED',
  UNAUTHORIZED: 'ERR_UNAUTHENTICATED',
  FORBIDDEN: 'ERR_FORBIDDEN',
  NOT_FOUND: 'ERR_NOT_FOUND',
  PAYLOAD_TOO_LARGE: 'ERR_TOO_LARGE',
  CLIENT_CLOSED_REQUEST: 'ERR_CANCELED',
}

export interface HttpError {
  status: number
  wire: WireError
}

/** The error as sent to clients. An unexpected error discloses only the request id, which the log contains too. */
export function toHttpError(error: unknown, requestId: string): HttpError {
  if (isAppError(error)) return ofAppError(error)
  if (error instanceof ZodError) return invalidInput(describeIssues(error))
  if (error instanceof TRPCError) {
    if (isAppError(error.cause)) return ofAppError(error.cause)
    if (error.cause instanceof ZodError && error.code === 'BAD_REQUEST') return invalidInput(describeIssues(error.cause))
    const code = codesOfTrpc[error.code]
    if (code) return { status: errorStatus[code], wire: { code, message: error.message } }
    if (error.cause) return toHttpError(error.cause, requestId)
  }
  if (isDiskFull(error)) return ofAppError(diskFullError('The request failed'))
  if (isDatabaseDown(error))
    return {
      status: 503,
      wire: {
        code: 'ERR_UNAVAILABLE',
        message: diskProblem() ? `The database does not answer: ${diskProblem()}.` : 'The database does not answer.',
        stillServing: 'Running apps keep serving without it.',
        nextAction: diskProblem() ? 'Let the operator free space; the database comes back by itself.' : 'Try again in a few seconds.',
        retryAfterSeconds: 5,
      },
    }
  return {
    status: 500,
    wire: {
      code: 'ERR_INTERNAL',
      message: `Something went wrong inside Switchyard (request ${requestId}).`,
      nextAction: `Look for ${requestId} in the server log.`,
    },
  }
}

function diskProblem(): string | null {
  try {
    return getPlatform().diskProblem()
  } catch {
    // Not started yet.
    return null
  }
}

function ofAppError(error: AppError): HttpError {
  // An AppError of another bundle is not an instance of this class and may lack its methods.
  return { status: errorStatus[error.code], wire: { code: error.code, message: error.message, ...error.details } }
}

const invalidInput = (message: string): HttpError => ({
  status: 400,
  wire: { code: 'ERR_INVALID_INPUT', message, nextAction: 'Correct the input and try again.' },
})

function describeIssues(error: ZodError): string {
  return error.issues.map((issue) => (issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message)).join('; ')
}

/** Recognizes Prisma's codes (P1xxx, pool timeout), node-pg's messages and socket errors. */
function isDatabaseDown(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    const { code } = current as { code?: unknown }
    if (current.name === 'PrismaClientInitializationError') return true
    if (current.name.startsWith('PrismaClient') && typeof code === 'string' && /^(P1\d{3}|P2024|P2028|ECONN\w+|ENOENT)$/.test(code)) return true
    if (/Query read timeout|Connection terminated|timeout exceeded when trying to connect|Can't reach database server/.test(current.message))
      return true
  }
  return false
}

/** Logs errors other than AppError, with their cause. Call once per failed request. */
export function reportUnexpected(error: unknown, requestId: string, where: string): void {
  if (toHttpError(error, requestId).status < 500 || isAppError(error) || (error instanceof TRPCError && isAppError(error.cause))) return
  const cause = error instanceof TRPCError ? (error.cause ?? error) : error
  const { reportError } = getPlatform()
  if (reportError) reportError(cause, { requestId, where })
  else console.error(`${where} failed (request ${requestId})`, cause)
}

/** Wraps an error for tRPC; the formatter adds the wire error. */
export function toTrpcError(error: unknown, requestId: string): TRPCError {
  const { status, wire } = toHttpError(error, requestId)
  return new TRPCError({
    code: trpcCode(status),
    message: wire.message,
    cause: error instanceof TRPCError ? (error.cause ?? error) : error,
  })
}

/** `{"error": WireError}` with its status. */
export function errorResponse(error: unknown, requestId: string): Response {
  const { status, wire } = toHttpError(error, requestId)
  const headers = new Headers({ 'content-type': 'application/json', 'cache-control': 'no-store', 'x-request-id': requestId })
  if (status === 401) headers.set('www-authenticate', 'Bearer')
  if (wire.retryAfterSeconds !== undefined) headers.set('retry-after', String(Math.ceil(wire.retryAfterSeconds)))
  return new Response(JSON.stringify({ error: wire }), { status, headers })
}

/** 405 with the allowed methods (RFC 9110 §15.5.6). */
export function methodNotAllowed(method: string, allow: string): Response {
  const error = new AppError('ERR_METHOD_NOT_ALLOWED', `${method} is not possible here.`, { nextAction: `Use one of ${allow}.` })
  const response = errorResponse(error, newRequestId())
  response.headers.set('allow', allow)
  return response
}
