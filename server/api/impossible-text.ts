import { AppError } from '@/shared/errors'

/**
 * Refuses text that Postgres cannot keep: NUL characters and halves of surrogate pairs.
 * @throws ERR_INVALID_INPUT with the place of the first one
 */
export function refuseImpossibleText(value: unknown, place: string): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed())
      throw new AppError('ERR_INVALID_INPUT', `${place}: holds a character that cannot be text (NUL, or half of a surrogate pair).`, {
        nextAction: 'Leave that character out.',
      })
    return
  }
  if (value === null || typeof value !== 'object') return
  for (const [key, item] of Object.entries(value)) {
    refuseImpossibleText(key, `a field name of ${place}`)
    refuseImpossibleText(item, `${place}.${key}`)
  }
}
