import { randomInt } from 'node:crypto'
import { AppError } from '@/shared/errors'
import { deploymentIdLength, maxSlugLength, slugify } from '@/shared/naming'

/** First path segments of the dashboard's own pages, and names people would take for the platform itself. */
const reserved = new Set([
  'api',
  'login',
  'setup',
  'new',
  'deployments',
  'certificates',
  'settings',
  'team',
  'account',
  'admin',
  'dashboard',
  'www',
  'switchyard',
])

const suffixAlphabet = 'abcdefghijkmnpqrstuvwxyz23456789'
const suffixLength = 4
const tries = 20

export interface SlugLookup {
  /** Does any team's project have this slug? */
  taken(slug: string): Promise<boolean>
  /** Is there a deployment with this id, in any team? */
  deploymentExists(id: string): Promise<boolean>
}

/** A slug people read but nobody else has: the name's own when it is free, else with a short random end. */
export async function freeSlug(name: string, lookup: SlugLookup): Promise<string> {
  const slug = slugify(name)
  if (!slug)
    throw new AppError('ERR_INVALID_INPUT', `"${name}" has no letter or digit that can stand in a hostname.`, {
      nextAction: 'Choose a name with letters a–z or digits.',
    })
  if (await isFree(slug, lookup)) return slug
  for (let i = 0; i < tries; i++) {
    const candidate = withSuffix(slug)
    if (await isFree(candidate, lookup)) return candidate
  }
  throw new AppError('ERR_CONFLICT', `No free hostname was found for "${name}".`, { nextAction: 'Choose another name.' })
}

async function isFree(slug: string, lookup: SlugLookup): Promise<boolean> {
  if (reserved.has(slug) || (await lookup.taken(slug))) return false
  // "<slug>-<deployment id>" is the hostname of a deployment: a project of that name would take it over.
  const end = slug.slice(-deploymentIdLength)
  return !(slug.at(-deploymentIdLength - 1) === '-' && (await lookup.deploymentExists(end)))
}

function withSuffix(slug: string): string {
  const suffix = Array.from({ length: suffixLength }, () => suffixAlphabet.charAt(randomInt(suffixAlphabet.length))).join('')
  return `${slug.slice(0, maxSlugLength - suffixLength - 1).replace(/-+$/, '')}-${suffix}`
}
