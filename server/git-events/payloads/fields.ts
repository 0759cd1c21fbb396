import { z } from 'zod'

/** Parts of payloads that several Git hosts have in common. */

/** Longest text that is kept of a message or a title. */
const maxText = 500
/** Most files that are kept of one push; beyond that they count as not listed. */
const maxFiles = 3000

export const text = z
  .string()
  .nullish()
  // A cut may halve a surrogate pair, which the database refuses.
  .transform((value) => value?.trim().slice(0, maxText).toWellFormed() || null)

/** A Git object id; null for all zeros, which Git sends for a created or deleted ref. */
export const objectId = z
  .string()
  .nullish()
  .transform((value) => (value && !/^0+$/.test(value) ? value.toLowerCase() : null))

const names = z.array(z.string()).nullish()
export const changedFiles = z.object({ added: names, modified: names, removed: names })

/** Files of all commits; null: a commit is missing, or there are too many. */
export function filesOf(commits: readonly z.infer<typeof changedFiles>[], isComplete: boolean): string[] | null {
  if (!isComplete || commits.length === 0) return null
  const files = new Set(commits.flatMap(({ added, modified, removed }) => [...(added ?? []), ...(modified ?? []), ...(removed ?? [])]))
  return files.size <= maxFiles ? [...files] : null
}

/** The branch of a full ref name; null: a tag or something else. */
export const branchOf = (ref: string): string | null => (ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : null)

/** What a ref that is no branch is called. */
export const notBranch = (ref: string) => ({
  kind: 'other' as const,
  why: ref.startsWith('refs/tags/') ? `tag ${ref.slice('refs/tags/'.length).slice(0, maxText)} is no branch` : 'no branch was pushed',
})

/** A time of any form as ISO 8601 in UTC; null: missing, or not a time. */
export const time = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => {
    const at = value === null || value === undefined ? Number.NaN : typeof value === 'number' ? value : Date.parse(value)
    return Number.isNaN(at) || Math.abs(at) > 8.64e15 ? null : new Date(at).toISOString()
  })
