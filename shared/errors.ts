/**
 * Errors carry a code for machines, a message for users and a cause for the log (similar to RFC 9457). `server/api/http-error.ts` maps them to
 * HTTP; services never throw transport errors.
 */

/** HTTP status of each error code. This is the complete list of codes. */
export const errorStatus = {
  ERR_INVALID_INPUT: 400,
  ERR_UNAUTHENTICATED: 401,
  ERR_FORBIDDEN: 403,
  ERR_NOT_FOUND: 404,
  ERR_METHOD_NOT_ALLOWED: 405,
  ERR_CONFLICT: 409,
  ERR_DEPLOYMENT_RUNNING: 409,
  /** A request with the same Idempotency-Key is still running. */
  ERR_IDEMPOTENCY_KEY_RUNNING: 409,
  /** The Idempotency-Key belongs to a request with another method, path or body. */
  ERR_IDEMPOTENCY_KEY_REUSED: 422,
  ERR_TOO_LARGE: 413,
  ERR_RATE_LIMITED: 429,
  ERR_SOURCE: 422,
  ERR_DETECT: 422,
  ERR_BUILD: 422,
  ERR_BUILD_LIMIT: 422,
  ERR_START: 422,
  ERR_HEALTH_CHECK: 422,
  /** A domain's DNS or network configuration is wrong. */
  ERR_DOMAIN: 422,
  ERR_CUTOVER: 503,
  ERR_CANCELED: 409,
  ERR_INTERRUPTED: 503,
  ERR_WORKER_OFFLINE: 503,
  ERR_UNAVAILABLE: 503,
  ERR_DEADLINE: 504,
  ERR_INTERNAL: 500,
} as const
export type ErrorCode = keyof typeof errorStatus

export interface ErrorDetails {
  /** Failed step of the deployment, as shown to users ("build", "health check"). */
  step?: string
  /** What still serves despite the failure ("Deployment x of 10:02 stays live."). */
  stillServing?: string
  /** What to do next, as an imperative sentence. */
  nextAction?: string
  retryAfterSeconds?: number
}

/** An error in JSON: `{"error": WireError}`. */
export interface WireError extends ErrorDetails {
  code: ErrorCode
  message: string
}

export class AppError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails
  constructor(code: ErrorCode, message: string, details: ErrorDetails & { cause?: unknown } = {}) {
    const { cause, ...rest } = details
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AppError'
    this.code = code
    this.details = rest
  }
  toWire(): WireError {
    return { code: this.code, message: this.message, ...this.details }
  }
}

// Next bundles its own copy of this module, so `instanceof` is not enough.
export function isAppError(error: unknown): error is AppError {
  return (
    error instanceof AppError || (error instanceof Error && error.name === 'AppError' && 'code' in error && (error.code as string) in errorStatus)
  )
}
