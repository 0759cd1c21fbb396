import type { AppError } from '@/shared/errors'
import { detectError } from '../detect/problem'
import { warningText } from './rule-file'

/**
 * Errors that fail the deployment instead of omitting a rule: without an unreadable address list everybody would have access, and with too many
 * rules some would be missing.
 */
export const accessUnread = (file: string, line: number | null, why: string): AppError =>
  detectError(
    `${warningText({ file, line, message: why })}. It may say who may open this app, so the deployment does not go on without it.`,
    `Correct ${file}, then deploy again.`,
  )

export const tooMany = (file: string, line: number | null, what: string): AppError =>
  detectError(`${warningText({ file, line, message: what })}.`, 'Join rules by patterns, or leave some out, then deploy again.')
