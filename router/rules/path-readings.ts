import { decodePath } from '@/shared/rules/template'

/** A path with only one interpretation. */
const plainPath = /^(?:\/[a-z0-9_~-][a-z0-9._~-]*)*$/

/**
 * All lower-case interpretations of a path by apps behind the router: servers differ in whether they ignore case, merge slashes, resolve
 * dot segments (before or after that), decode an encoded slash, treat `\` as `/`, drop `;parameters` or a trailing slash. Used by rules
 * that protect paths, where a false match is safer than a missed one. The forwarded path never changes.
 */
export function pathReadings(path: string): readonly string[] {
  if (plainPath.test(path)) return [path]
  const readings = new Set([decodePath(path).toLowerCase()])
  const decoded = decodeBytes(path).toLowerCase()
  const forms = new Set([path.toLowerCase().includes('%2f') ? decodeBytes(path.replace(/%2f/gi, '%252F')).toLowerCase() : decoded, decoded])
  for (const form of [...forms]) forms.add(form.replaceAll('\\', '/'))
  for (const form of [...forms]) forms.add(form.replace(/;[^/]*/g, ''))
  for (const form of forms) {
    const joined = joinSlashes(form)
    for (const reading of [form, joined, withoutDots(joined), joinSlashes(withoutDots(form))]) readings.add(withoutEnd(reading))
  }
  return [...readings]
}

/** Decodes all escapes; invalid UTF-8 becomes a character that no rule contains. */
function decodeBytes(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

const joinSlashes = (path: string): string => path.replace(/\/{2,}/g, '/')

function withoutDots(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}`
}

// A loop instead of a regular expression, which would backtrack from every slash of a long run.
function withoutEnd(path: string): string {
  let end = path.length
  while (end > 1 && path.charCodeAt(end - 1) === 47) end--
  return path.slice(0, end)
}
