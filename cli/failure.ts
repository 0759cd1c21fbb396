import { type AppError, errorStatus, isAppError, type WireError } from '@/shared/errors'

/** Wrong usage of the command: a one-line message, exit code 2, no stack trace. */
export class UsageError extends Error {
  constructor(
    message: string,
    readonly nextAction?: string,
  ) {
    super(message)
    this.name = 'UsageError'
  }
}

/** The person pressed Ctrl-C. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted')
    this.name = 'Interrupted'
  }
}

/** Converts anything thrown to an error of the API: message, step, what still serves, next action. */
export function toWireError(error: unknown): WireError {
  if (isAppError(error)) return (error as AppError).toWire()
  if (error instanceof UsageError)
    return { code: 'ERR_INVALID_INPUT', message: error.message, ...(error.nextAction ? { nextAction: error.nextAction } : {}) }
  if (error instanceof Interrupted) return { code: 'ERR_CANCELED', message: 'Interrupted.' }
  return { code: 'ERR_INTERNAL', message: error instanceof Error ? error.message : String(error) }
}

/** True when `value` has the shape of an error on the wire. */
export function isWireError(value: unknown): value is WireError {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as { code?: unknown; message?: unknown }
  return typeof code === 'string' && code in errorStatus && typeof message === 'string'
}
