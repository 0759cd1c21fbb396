import { AppError } from '@/shared/errors'
import type { UnreadRules } from '@/shared/rules-settings'
import { maxColumnBytes, tooLargeText } from './parts'
import { isFields, type PartialRules, readStored, type StoredRules } from './stored'
import { digestOf } from './versions'

/** Maximum characters shown in the dashboard. */
const shownChars = 64 * 1024

/** The part of a column that this version cannot read; undefined: everything is readable. */
function findUnread(json: unknown): unknown {
  if (json === null || json === undefined) return undefined
  const { policy, unusable } = readStored(json)
  if (unusable !== null || !isFields(json)) return json
  const parts = Object.entries(json).flatMap(([key, value]) => {
    const lost = lostOf(policy, key, value)
    return lost === undefined ? [] : [[key, lost] as const]
  })
  return parts.length > 0 ? Object.fromEntries(parts) : undefined
}

function lostOf(policy: PartialRules, key: string, value: unknown): unknown {
  const read: unknown = Object.hasOwn(policy, key) ? policy[key as keyof PartialRules] : undefined
  if (read === undefined) return value
  if (!Array.isArray(read) || !Array.isArray(value) || read.length === value.length) return undefined
  // `readStored` omits rules independently of each other, so each rule can be checked alone.
  return value.filter((rule) => (readStored({ [key]: [rule] }).policy[key as 'redirects'] ?? []).length === 0)
}

const whyOf = ({ unusable, unreadAccess, leftOut }: StoredRules): string =>
  unusable ?? [...unreadAccess.map((field) => `"${field}" cannot be read`), ...leftOut].join('; ')

/** The unreadable rules for display, with secrets masked; null: everything is readable. The text is shown only if `mayChange`. */
export function presentUnread(json: unknown, { mayChange }: { mayChange: boolean }): UnreadRules | null {
  const unread = findUnread(json)
  if (unread === undefined) return null
  const stored = readStored(json)
  const tooLarge = Buffer.byteLength(JSON.stringify(json)) > maxColumnBytes
  const text = JSON.stringify(masked(unread), null, 2)
  return {
    why: tooLarge ? tooLargeText : whyOf(stored),
    keepsOut: tooLarge || stored.unusable !== null || stored.unreadAccess.length > 0,
    text: mayChange ? text.slice(0, shownChars) : null,
    leftOutChars: Math.max(0, text.length - shownChars),
    version: digestOf(json),
  }
}

/**
 * The readable rules of a column, for discarding the unreadable part.
 * @throws ERR_CONFLICT when the column has changed since `version` was shown
 */
export function withoutUnread(json: unknown, version: string): PartialRules {
  if (version === digestOf(json)) return readStored(json).policy
  throw new AppError('ERR_CONFLICT', 'The rules were changed since you looked at them; nothing was taken back.', {
    nextAction: 'Look at what is set now, and try again.',
  })
}

const hidden = '(hidden)'
const judgedChars = 1000
/** Fields of a protection that are not secret; every other field is masked. */
const openInProtection = new Set(['kind', 'name', 'id'])
/** Matches digests, scrypt hashes and tokens, which path rules do not contain. */
const looksSecret = /\$\w+\$|^[0-9a-f]{32,}$|^[\w+/=-]{24,}$/i

function masked(value: unknown, key = '', inProtection = false): unknown {
  // Test the beginning only: the expression overflows the stack on megabytes of text.
  if (typeof value === 'string') return (inProtection && !openInProtection.has(key)) || looksSecret.test(value.slice(0, judgedChars)) ? hidden : value
  if (Array.isArray(value)) return value.map((item) => masked(item, key, inProtection))
  if (typeof value !== 'object' || value === null) return inProtection ? hidden : value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, masked(inner, name, inProtection || name === 'protection')]))
}
