import { AppError } from '@/shared/errors'

/** An error of detection, with a message for users. */
export function detectError(message: string, nextAction: string, cause?: unknown): AppError {
  return new AppError('ERR_DETECT', message, { step: 'detect', nextAction, ...(cause === undefined ? {} : { cause }) })
}
