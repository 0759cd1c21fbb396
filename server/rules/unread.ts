import { AppError } from '@/shared/errors'
import type { UnreadRules } from '@/shared/rules-settings'
import { maxColumnBytes, tooLargeText } from './parts'
import { isFields, type PartialRules, readStored, type StoredRules } from './stored'
import { digestOf } from './versions'

/** As much as a person reads, or pastes into a file. */
const shownChars = 64 * 1024

/** What a column says and this version cannot read; undefined: all of it is read. */
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
  // Rules are left out one by one, and each by itself reads as it does among the others.
  return value.filter((rule) => (readStored({ [key]: [rule] }).policy[key as 'redirects'] ?? []).length === 0)
}

const whyOf = ({ unusable, unreadAccess, leftOut }: StoredRules): string =>
  unusable ?? [...unreadAccess.map((field) => `"${field}" cannot be read`), ...leftOut].join('; ')

/** For people: what is set and cannot be read, without what protects; null: nothing. `mayChange`: others are not shown the text. */
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
 * What of a column stays when the unread part is taken back.
 * @throws ERR_CONFLICT when it is not what the person saw (`version`)
 */
export function withoutUnread(json: unknown, version: string): PartialRules {
  if (version === digestOf(json)) return readStored(json).policy
  throw new AppError('ERR_CONFLICT', 'The rules were changed since you looked at them; nothing was taken back.', {
    nextAction: 'Look at what is set now, and try again.',
  })
}

const hidden = '(hidden)'
const judgedChars = 1000
/** Names of a protection tell who; everything else in it may be what lets in. */
const openInProtection = new Set(['kind', 'name', 'id'])
/** A digest, a scrypt hash, a token: nothing a rule about paths would say. */
const looksSecret = /\$\w+\$|^[0-9a-f]{32,}$|^[\w+/=-]{24,}$/i

function masked(value: unknown, key = '', inProtection = false): unknown {
  // By its beginning: an expression over megabytes of one word needs more stack than there is.
  if (typeof value === 'string') return (inProtection && !openInProtection.has(key)) || looksSecret.test(value.slice(0, judgedChars)) ? hidden : value
  if (Array.isArray(value)) return value.map((item) => masked(item, key, inProtection))
  if (typeof value !== 'object' || value === null) return inProtection ? hidden : value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, masked(inner, name, inProtection || name === 'protection')]))
}
