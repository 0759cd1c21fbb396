import type { RedirectRule, RewriteRule, RuleCondition } from '@/shared/project-rules'
import { escapeExpression, type NetlifyPath, readNetlifyPath } from './netlify-path'
import { tooMany } from './refusals'
import { maxLines, type Placed, type RuleWarning } from './rule-file'

export interface RedirectsFile {
  redirects: Placed<RedirectRule>[]
  rewrites: Placed<RewriteRule>[]
  /** Error page for unknown paths (`/* /404.html 404`). */
  notFound: string | null
  warnings: RuleWarning[]
}

const redirectStatuses = new Set([301, 302, 303, 307, 308])
type Line = { tokens: string[]; line: number }

/** Parses Netlify's `_redirects`: `from [query=…] to [status[!]] [condition=…]` on each line; the first match wins. */
export function readRedirectsFile(text: string, file: string): RedirectsFile {
  const found: RedirectsFile = { redirects: [], rewrites: [], notFound: null, warnings: [] }
  const lines = text.split(/\r?\n/)
  if (lines.length > maxLines) throw tooMany(file, null, `${lines.length} lines, and at most ${maxLines} are read`)
  for (const [i, raw] of lines.entries()) {
    const tokens = raw
      .replace(/(?:^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
    if (tokens[0] === '' || tokens[0] === undefined) continue
    const problem = readLine(found, { tokens, line: i + 1 })
    if (problem !== null) found.warnings.push({ file, line: i + 1, message: `${problem}: this line is left out` })
  }
  return found
}

/** Parses a line; returns why it is omitted; null: valid. */
function readLine(found: RedirectsFile, { tokens, line }: Line): string | null {
  const [from = '', ...rest] = tokens
  const at = rest.findIndex((token) => /^(?:\/|https?:\/\/)/i.test(token))
  if (at === -1) return 'there is no destination'
  const to = rest[at] as string
  const path = readNetlifyPath(from, true)
  if (typeof path === 'string') return path
  const has = [...path.has]
  for (const pair of rest.slice(0, at)) {
    const condition = readQuery(pair)
    if (condition === null) return `"${pair.slice(0, 100)}" is no condition on the query`
    has.push(condition)
  }
  const { status, forced, conditions, problem } = readTail(rest.slice(at + 1))
  if (problem !== null) return problem
  return place(found, { path, has: [...has, ...conditions], to, status, forced, line })
}

function readQuery(pair: string): RuleCondition | null {
  const [, key, value] = /^([^=]+)=(.*)$/.exec(pair) ?? []
  if (key === undefined || value === undefined) return null
  const name = /^:([A-Za-z_]\w*)$/.exec(value)?.[1]
  return { type: 'query', key, value: name ? `(?<${name}>.*)` : escapeExpression(value) }
}

interface Tail {
  status: number
  forced: boolean
  conditions: RuleCondition[]
  problem: string | null
}

function readTail(tokens: string[]): Tail {
  const tail: Tail = { status: 301, forced: false, conditions: [], problem: null }
  for (const token of tokens) {
    const status = /^(\d{3})(!)?$/.exec(token)
    if (status?.[1]) {
      tail.status = Number(status[1])
      tail.forced = status[2] !== undefined
      continue
    }
    const cookie = /^Cookie=([^,]+)$/i.exec(token)?.[1]
    if (cookie) tail.conditions.push({ type: 'cookie', key: cookie })
    else tail.problem = `the condition "${token.slice(0, 100)}" is not supported`
  }
  return tail
}

interface Parts {
  path: NetlifyPath
  has: RuleCondition[]
  to: string
  status: number
  forced: boolean
  line: number
}

function place(found: RedirectsFile, { path, has, to, status, forced, line }: Parts): string | null {
  const destination = path.splat === null ? to : to.replace(/:splat\b/g, path.splat)
  const match = { source: path.source, ...(has.length > 0 ? { has } : {}) }
  if (status === 200) {
    found.rewrites.push({ rule: { ...match, destination, ...(forced ? { beforeFiles: true } : {}) }, line })
    return null
  }
  if (redirectStatuses.has(status)) {
    const rule = { ...match, destination, status: status as RedirectRule['status'] }
    // Without "!" an existing file takes precedence.
    found.redirects.push({ rule: forced ? rule : { ...rule, afterFiles: true }, line })
    return null
  }
  if (status === 404 && path.source === '/(.*)' && has.length === 0 && to.startsWith('/')) {
    found.notFound = to
    return null
  }
  return `the status ${status} is not supported here`
}
