import type { HeaderRule } from '@/shared/project-rules'
import { ExpressionProblem } from '@/shared/rules/expression'
import { checkResponseHeader } from '@/shared/rules/response-headers'
import { readNetlifyPath } from './netlify-path'
import { tooMany } from './refusals'
import { maxLines, type Placed, type RuleWarning } from './rule-file'

export interface HeadersFile {
  headers: Placed<HeaderRule>[]
  warnings: RuleWarning[]
}

/** Parses `_headers` of Netlify and Cloudflare: a path on its own line, followed by indented lines `Name: value`. */
export function readHeadersFile(text: string, file: string): HeadersFile {
  const headers: Placed<HeaderRule>[] = []
  const warnings: RuleWarning[] = []
  let current: HeaderRule | null = null
  const lines = text.split(/\r?\n/)
  if (lines.length > maxLines) throw tooMany(file, null, `${lines.length} lines, and at most ${maxLines} are read`)
  for (const [i, raw] of lines.entries()) {
    const warn = (message: string) => warnings.push({ file, line: i + 1, message: `${message}: this line is left out` })
    const content = raw.trim()
    if (content === '' || content.startsWith('#')) continue
    if (/^\S/.test(raw)) {
      const path = readNetlifyPath(content, false)
      current = typeof path === 'string' ? null : { source: path.source, headers: [], ...(path.has.length > 0 ? { has: path.has } : {}) }
      if (current) headers.push({ rule: current, line: i + 1 })
      else warn(String(path))
      continue
    }
    const [, key, value] = /^([^:\s]+)\s*:\s*(.*)$/.exec(content) ?? []
    if (current === null) warn('there is no path above it')
    else if (key === undefined || value === undefined) warn('"Name: value" is expected')
    else if (key.toLowerCase() === 'basic-auth') warn('passwords are set in the dashboard under Rules, not in a file')
    else {
      const problem = problemOf(key, value)
      if (problem === null) current.headers.push({ key, value })
      else warn(problem)
    }
  }
  return { headers: headers.filter(({ rule }) => rule.headers.length > 0), warnings }
}

function problemOf(key: string, value: string): string | null {
  try {
    checkResponseHeader(key, value)
    return null
  } catch (error) {
    if (error instanceof ExpressionProblem) return error.message
    throw error
  }
}
