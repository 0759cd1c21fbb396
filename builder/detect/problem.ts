import { AppError } from '@/shared/errors'

/** An error of detection, in the person's language. */
export function detectError(message: string, nextAction: string, cause?: unknown): AppError {
  return new AppError('ERR_DETECT', message, { step: 'detect', nextAction, ...(cause === undefined ? {} : { cause }) })
}
