import type { WireError } from '@/shared/errors'

interface TransportError {
  message: string
  data?: { appError?: WireError | null; code?: string } | null
}

const isTransportError = (error: unknown): error is TransportError => typeof error === 'object' && error !== null && 'message' in error

/** Converts any failed call to an error for people. An error without the API envelope did not reach the control plane, or failed inside it. */
export function wireErrorOf(error: unknown): WireError {
  if (isTransportError(error)) {
    if (error.data?.appError) return error.data.appError
    if (error.data?.code === 'UNAUTHORIZED') return { code: 'ERR_UNAUTHENTICATED', message: 'You are signed out.', nextAction: 'Sign in again.' }
    if (error.data?.code)
      return { code: 'ERR_INTERNAL', message: error.message, nextAction: 'Try again. If it happens again, look into the server log.' }
  }
  return {
    code: 'ERR_UNAVAILABLE',
    message: 'The control plane does not answer.',
    stillServing: 'Running apps keep serving without it.',
    nextAction: 'Check that Switchyard is running, then try again.',
  }
}

/** True for errors that a retry may fix: lost connection, deadline, overloaded server. */
export function isWorthRetrying(error: unknown): boolean {
  const { code } = wireErrorOf(error)
  return code === 'ERR_UNAVAILABLE' || code === 'ERR_DEADLINE'
}
