import { randomInt } from 'node:crypto'
import { AppError } from '@/shared/errors'
import { deploymentIdLength, looksLikePreview, maxSlugLength, slugify } from '@/shared/naming'

/** Reserved slugs: path segments of the dashboard, and names that look like the platform's own. */
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
  /** Whether a project or an environment of any team has this slug. */
  taken(slug: string): Promise<boolean>
  /** Whether a deployment of any team has this id. */
  deploymentExists(id: string): Promise<boolean>
}

/** A free slug derived from the name; with a short random suffix when taken. */
export async function freeSlug(name: string, lookup: SlugLookup): Promise<string> {
  // `-git-` stands in the hostnames of previews.
  const slug = slugify(name).replaceAll('-git-', '-git')
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

/** Whether no project, environment or deployment has this label, and no preview could. Exported for environments. */
export async function isFree(slug: string, lookup: SlugLookup): Promise<boolean> {
  if (reserved.has(slug) || looksLikePreview(slug) || (await lookup.taken(slug))) return false
  // "<slug>-<deployment id>" is a deployment's hostname: a project with that slug would take it over.
  const end = slug.slice(-deploymentIdLength)
  return !(slug.at(-deploymentIdLength - 1) === '-' && (await lookup.deploymentExists(end)))
}

function withSuffix(slug: string): string {
  const suffix = Array.from({ length: suffixLength }, () => suffixAlphabet.charAt(randomInt(suffixAlphabet.length))).join('')
  return `${slug.slice(0, maxSlugLength - suffixLength - 1).replace(/-+$/, '')}-${suffix}`
}
