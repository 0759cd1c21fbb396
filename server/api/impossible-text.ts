import { AppError } from '@/shared/errors'

/** Settings nest a few levels; hundreds of thousands, which fit into a body, would end the stack of whoever walks them. */
const maxDepth = 64

/**
 * Refuses text that Postgres cannot keep: NUL characters and halves of surrogate pairs. Also what nests deeper than anything does.
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
