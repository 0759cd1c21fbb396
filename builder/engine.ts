import Docker from 'dockerode'
import { AppError, isAppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'

export type Engine = Docker

export function connectEngine(socketPath: string): Engine {
  return new Docker({ socketPath })
}

/** Calls the engine with a deadline; converts its errors to AppError. */
export async function engineCall<T>(what: string, ms: number, work: (signal: AbortSignal) => Promise<T>, outer?: AbortSignal): Promise<T> {
  try {
    return await withDeadline(`the container engine (${what})`, ms, work, outer)
  } catch (error) {
    if (outer?.aborted) throw new AppError('ERR_CANCELED', `${what} was canceled`)
    throw engineError(what, error)
  }
}

/** HTTP status of an error of the engine; null: no response. */
export function engineStatus(error: unknown): number | null {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : null
}

function engineError(what: string, error: unknown): AppError {
  if (isAppError(error)) return error
  const status = engineStatus(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (status === 404) return new AppError('ERR_NOT_FOUND', `${what}: the container engine does not know it (${reason})`, { cause: error })
  if (status === 409) return new AppError('ERR_CONFLICT', `${what}: ${reason}`, { cause: error })
  if (status !== null) return new AppError('ERR_INTERNAL', `${what} failed in the container engine: ${reason}`, { cause: error })
  return new AppError('ERR_UNAVAILABLE', `${what}: the container engine does not answer (${reason})`, {
    cause: error,
    nextAction: 'Check that Docker runs ("docker info") and that this user may open its socket.',
  })
}

/** Reads a stream of JSON lines (load, pull, import) to its end. @throws AppError with the engine's message if a line is an error. */
export async function readProgress(what: string, stream: NodeJS.ReadableStream): Promise<Record<string, unknown>[]> {
  let text = ''
  for await (const chunk of stream) text += chunk.toString()
  const messages: Record<string, unknown>[] = []
  for (const line of text.split('\n').filter((part) => part.trim())) {
    const message = JSON.parse(line) as Record<string, unknown>
    if (typeof message.error === 'string') throw new AppError('ERR_INTERNAL', `${what} failed in the container engine: ${message.error}`)
    messages.push(message)
  }
  return messages
}
