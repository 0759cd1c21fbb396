import { AppError } from '@/shared/errors'

/** Settings have a few levels. A body has room for hundreds of thousands, which would overflow the stack of recursive code. */
const maxDepth = 64

/**
 * Refuses text that Postgres cannot store (NUL characters, lone surrogates) and values nested too deeply.
 * @throws ERR_INVALID_INPUT with the place of the first one
 */
export function refuseImpossibleText(value: unknown, place: string, depth = 0): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed())
      throw new AppError('ERR_INVALID_INPUT', `${place}: holds a character that cannot be text (NUL, or half of a surrogate pair).`, {
        nextAction: 'Leave that character out.',
      })
    return
  }
  if (value === null || typeof value !== 'object') return
  if (depth === maxDepth)
    throw new AppError('ERR_INVALID_INPUT', `The input nests more than ${maxDepth} levels deep.`, {
      nextAction: 'Send the fields that are documented.',
    })
  for (const [key, item] of Object.entries(value)) {
    refuseImpossibleText(key, `a field name of ${place}`)
    refuseImpossibleText(item, `${place}.${key}`, depth + 1)
  }
}
