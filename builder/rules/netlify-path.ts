import type { RuleCondition } from '@/shared/project-rules'

export interface NetlifyPath {
  source: string
  has: RuleCondition[]
  /** Reference to the part that `*` matched (`$2`) in a destination; null: no `*`. */
  splat: string | null
}

/**
 * Converts a path of `_redirects` or `_headers` to a `source`: `*` matches anything, `:name` one segment. `loose`: ignores a trailing slash. A
 * full URL restricts the rule to its host.
 */
export function readNetlifyPath(text: string, loose: boolean): NetlifyPath | string {
  const address = /^https?:\/\/([^/]+)(\/.*)?$/i.exec(text)
  const path = address ? (address[2] ?? '/') : text
  if (!path.startsWith('/')) return `"${text.slice(0, 100)}" is no path`
  const has: RuleCondition[] = address?.[1] ? [{ type: 'host', value: escapeExpression(address[1].toLowerCase().replace(/:\d+$/, '')) }] : []
  const stars = path.split('*').length - 1
  if (loose && (stars > 1 || (stars === 1 && !path.endsWith('*')))) return 'a "*" stands at the end of a path only'
  const parameters = [...path.matchAll(/:[A-Za-z_]\w*/g)].length
  const splat = stars > 0 ? `$${parameters + 1}` : null
  return { source: loose ? looseSource(path) : sourceOf(path), has, splat }
}

function looseSource(path: string): string {
  if (path === '/*') return '/(.*)'
  // `/news/*` matches `/news`, `/news/` and everything below.
  if (path.endsWith('/*')) return `${sourceOf(path.slice(0, -2))}{/(.*)}?`
  if (path.endsWith('*')) return sourceOf(path)
  const bare = path.length > 1 ? path.replace(/\/+$/, '') : path
  return bare === '/' || bare === '' ? '/' : `${sourceOf(bare)}{/}?`
}

function sourceOf(path: string): string {
  return path
    .split(/(\*|:[A-Za-z_]\w*)/)
    .map((part) => (part === '*' ? '(.*)' : /^:[A-Za-z_]/.test(part) ? part : decoded(part).replace(/[(){}+?*:\\[\]]/g, '\\$&')))
    .join('')
}

// Decodes the path, because sources are matched against decoded paths.
function decoded(text: string): string {
  try {
    return decodeURI(text)
  } catch {
    return text
  }
}

export const escapeExpression = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
