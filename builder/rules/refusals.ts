import type { AppError } from '@/shared/errors'
import { detectError } from '../detect/problem'
import { warningText } from './rule-file'

/**
 * What ends a deployment instead of being left out of it. Without a list of addresses that cannot be read everybody could come in; of too
 * many rules some would hold and others would not.
 */
export const accessUnread = (file: string, line: number | null, why: string): AppError =>
  detectError(
    `${warningText({ file, line, message: why })}. It may say who may open this app, so the deployment does not go on without it.`,
    `Correct ${file}, then deploy again.`,
  )

export const tooMany = (file: string, line: number | null, what: string): AppError =>
  detectError(`${warningText({ file, line, message: what })}.`, 'Join rules by patterns, or leave some out, then deploy again.')
