import { decodePath } from '@/shared/rules/template'

/** Nothing in such a path can be read in two ways. */
const plainPath = /^(?:\/[a-z0-9_~-][a-z0-9._~-]*)*$/

/**
 * The paths that an app behind us may take a request's path for, in lower case: servers differ in whether they fold case, join slashes,
 * resolve dots (before or after that), decode an encoded slash, read `\` as `/`, leave out `;parameters` and a slash at the end. For rules that
 * guard, which must rather concern too much than too little; what is forwarded never changes.
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

/** Every escape decoded, whatever it stands for; what is no UTF-8 becomes a sign that no rule names. */
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

// By hand: an expression for it begins anew at every slash of a long run.
function withoutEnd(path: string): string {
  let end = path.length
  while (end > 1 && path.charCodeAt(end - 1) === 47) end--
  return path.slice(0, end)
}
