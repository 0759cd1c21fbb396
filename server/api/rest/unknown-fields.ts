import type { z } from 'zod'
import type { $ZodType, $ZodTypes } from 'zod/v4/core'
import { AppError } from '@/shared/errors'

/**
 * Refuses fields, at any depth, that the schema does not know: a misspelt setting that is ignored looks like one that is in effect.
 * Call it with a value that the schema accepts.
 * @throws ERR_INVALID_INPUT with the name of the first such field
 */
export function refuseUnknownFields(schema: z.ZodType, value: unknown): void {
  const unknown = unknownField(schema, value)
  if (!unknown) return
  const known = unknown.known.length > 0 ? `Known here: ${unknown.known.join(', ')}.` : 'There are no fields here.'
  throw new AppError('ERR_INVALID_INPUT', `${unknown.path.join('.')}: this field is not known.`, {
    nextAction: `Leave it out or correct it. ${known}`,
  })
}

interface Unknown {
  path: string[]
  known: string[]
}

function unknownField(schema: $ZodType, value: unknown): Unknown | null {
  if (value === null || typeof value !== 'object') return null
  const { def } = (schema as $ZodTypes)._zod
  switch (def.type) {
    case 'object':
      return unknownOfObject(def.shape, def.catchall !== undefined, value as Record<string, unknown>)
    case 'array':
      return firstOf(Object.entries(value), ([i, item]) => below(i, unknownField(def.element, item)))
    case 'record':
      return firstOf(Object.entries(value), ([key, item]) => below(key, unknownField(def.valueType, item)))
    case 'union': {
      const taken = def.options.find((option) => (option as z.ZodType).safeParse(value).success)
      return taken ? unknownField(taken, value) : null
    }
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return unknownField(def.innerType, value)
    case 'pipe':
      return unknownField(def.in, value)
    case 'lazy':
      return unknownField(def.getter(), value)
    default:
      return null
  }
}

function unknownOfObject(shape: Readonly<Record<string, $ZodType>>, open: boolean, value: Record<string, unknown>): Unknown | null {
  return firstOf(Object.entries(value), ([key, item]) => {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined
    if (field) return below(key, unknownField(field, item))
    return open ? null : { path: [key], known: Object.keys(shape) }
  })
}

const below = (key: string, found: Unknown | null): Unknown | null => found && { ...found, path: [key, ...found.path] }

function firstOf<T>(items: readonly T[], look: (item: T) => Unknown | null): Unknown | null {
  for (const item of items) {
    const found = look(item)
    if (found) return found
  }
  return null
}
