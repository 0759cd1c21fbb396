import { isMap, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import type { HeaderRule, ProjectRules, RedirectRule, RewriteRule, RuleCondition } from '@/shared/project-rules'
import { headerRuleSchema, projectRulesFields, rateLimitRuleSchema, redirectRuleSchema, rewriteRuleSchema } from '@/shared/project-rules-schema'
import { ruleLimits } from '@/shared/rules/weight'
import { escapeExpression } from './netlify-path'
import { accessUnread, tooMany } from './refusals'
import type { Placed, RuleFile, RuleWarning } from './rule-file'

export interface JsonRules {
  redirects: Placed<RedirectRule>[]
  rewrites: Placed<RewriteRule>[]
  headers: Placed<HeaderRule>[]
  rateLimits: Placed<ProjectRules['rateLimits'][number]>[]
  settings: Partial<ProjectRules>
  warnings: RuleWarning[]
}

/** Settings that only `switchyard.json` may contain. */
const ownSettings = [
  'errorPages',
  'allowedAddresses',
  'compression',
  'cache',
  'balance',
  'sticky',
  'maxRequestsPerTarget',
  'queueTimeoutMs',
  'maxBodyBytes',
  'answerTimeoutMs',
] as const
const bothSettings = ['cleanUrls', 'trailingSlash'] as const
type Place = (path: (string | number)[]) => number | null

/** Parses `vercel.json` or `switchyard.json`. The latter may also restrict access, so errors in it are fatal. @throws ERR_DETECT */
export function readJsonFile({ kind, name: file, text }: RuleFile): JsonRules {
  const rules: JsonRules = { redirects: [], rewrites: [], headers: [], rateLimits: [], settings: {}, warnings: [] }
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (error) {
    const why = `this is not JSON, so none of its rules hold (${error instanceof Error ? error.message : error})`
    if (kind === 'switchyard.json') throw accessUnread(file, null, why)
    rules.warnings.push({ file, line: null, message: why })
    return rules
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    const why = 'an object is expected, so none of its rules hold'
    if (kind === 'switchyard.json') throw accessUnread(file, null, why)
    rules.warnings.push({ file, line: null, message: why })
    return rules
  }
  const lineOf = placesOf(text)
  const warn = (path: (string | number)[], message: string) => rules.warnings.push({ file, line: lineOf(path), message })
  const fields = content as Record<string, unknown>
  const reader = { file, fields, lineOf, warn }
  rules.redirects = readList(reader, ['redirects'], toRedirect, redirectRuleSchema)
  rules.rewrites = readRewrites(reader)
  rules.headers = readList(reader, ['headers'], toMatch, headerRuleSchema)
  readSettings(rules, reader, kind === 'switchyard.json' ? [...bothSettings, ...ownSettings] : bothSettings)
  if (kind === 'switchyard.json') rules.rateLimits = readList(reader, ['rateLimits'], toMatch, rateLimitRuleSchema)
  if (kind === 'vercel.json' && fields.routes !== undefined)
    warn(['routes'], '"routes" is not supported: write redirects, rewrites and headers instead')
  if (kind === 'switchyard.json')
    for (const key of ['protection', 'maintenance']) if (fields[key] !== undefined) warn([key], `"${key}" is set in the dashboard, not in a file`)
  return rules
}

interface Reader {
  file: string
  fields: Record<string, unknown>
  lineOf: Place
  warn(path: (string | number)[], message: string): void
}

function readList<R>({ file, fields, lineOf, warn }: Reader, path: string[], convert: (item: unknown) => unknown, schema: z.ZodType<R>): Placed<R>[] {
  const list = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], fields)
  if (list === undefined) return []
  if (!Array.isArray(list)) {
    warn(path, `"${path.join('.')}" must be a list`)
    return []
  }
  if (list.length > ruleLimits.ofAKind)
    throw tooMany(file, lineOf(path), `${list.length} ${path.join('.')}, and at most ${ruleLimits.ofAKind} are allowed`)
  return list.flatMap((item, i) => {
    try {
      return [{ rule: schema.parse(convert(item)), line: lineOf([...path, i]) }]
    } catch (error) {
      const issue = error instanceof z.ZodError ? error.issues[0] : null
      const message = issue ? `${issue.path.join('.')} ${issue.message}` : error instanceof Error ? error.message : String(error)
      warn([...path, i], `this rule is left out: ${message}`)
      return []
    }
  })
}

/** Reads a list, or Next.js' `{ beforeFiles, afterFiles, fallback }`. */
function readRewrites(reader: Reader): Placed<RewriteRule>[] {
  const { rewrites } = reader.fields
  if (typeof rewrites !== 'object' || rewrites === null || Array.isArray(rewrites)) return readList(reader, ['rewrites'], toMatch, rewriteRuleSchema)
  const part = (key: string) => readList(reader, ['rewrites', key], toMatch, rewriteRuleSchema)
  const early = part('beforeFiles').map(({ rule, line }) => ({ rule: { ...rule, beforeFiles: true }, line }))
  return [...early, ...part('afterFiles'), ...part('fallback')]
}

function readSettings(
  rules: JsonRules,
  { file, fields, lineOf, warn }: Reader,
  keys: readonly (typeof ownSettings | typeof bothSettings)[number][],
): void {
  for (const key of keys) {
    if (fields[key] === undefined) continue
    const parsed = projectRulesFields[key].safeParse(fields[key])
    const why = `"${key}" is not understood: ${parsed.error?.issues[0]?.message ?? 'wrong kind of value'}`
    if (parsed.success) Object.assign(rules.settings, { [key]: parsed.data })
    else if (key === 'allowedAddresses') throw accessUnread(file, lineOf([key]), why)
    else warn([key], why)
  }
}

function toRedirect(item: unknown): unknown {
  const { permanent, statusCode, status, ...rest } = asObject(item)
  return { ...asObject(toMatch(rest)), status: status ?? statusCode ?? (permanent === false ? 307 : 308) }
}

function toMatch(item: unknown): unknown {
  const { has, missing, ...rest } = asObject(item)
  return { ...rest, ...(has === undefined ? {} : { has: toConditions(has) }), ...(missing === undefined ? {} : { missing: toConditions(missing) }) }
}

function toConditions(list: unknown): unknown {
  return Array.isArray(list) ? list.map((item) => ({ ...asObject(item), ...conditionValue(asObject(item).value) })) : list
}

/** Converts an operator of a vercel.json condition (`{ "pre": "a" }`) to an expression. */
function conditionValue(value: unknown): Partial<RuleCondition> {
  if (value === undefined || typeof value === 'string') return {}
  const said = Object.entries(asObject(value))
  if (said.length === 0) throw new Error('a condition has an empty value')
  const ahead = said.map(([word, operand]) => `(?=${wordExpression(word, operand)}$)`)
  return { value: `${ahead.join('')}.*` }
}

function wordExpression(word: string, operand: unknown): string {
  const one = escapeExpression(String(operand))
  const any = Array.isArray(operand) ? `(?:${operand.map((item) => escapeExpression(String(item))).join('|')})` : one
  switch (word) {
    case 'eq':
      return one
    case 'neq':
      return `(?!${one}$).*`
    case 'inc':
      return any
    case 'ninc':
      return `(?!${any}$).*`
    case 'pre':
      return `${one}.*`
    case 'suf':
      return `.*${one}`
    case 're':
      return `(?:${String(operand)})`
    default:
      throw new Error(`the condition "${word.slice(0, 50)}" is not supported`)
  }
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('an object is expected')
  return value as Record<string, unknown>
}

/** Finds line numbers of values in JSON text; parsed on first use. JSON is valid YAML, whose parser keeps positions. */
function placesOf(text: string): Place {
  let places: { document: ReturnType<typeof parseDocument>; counter: LineCounter } | undefined
  return (path) => {
    if (!places) {
      const counter = new LineCounter()
      places = { document: parseDocument(text, { lineCounter: counter, keepSourceTokens: false, uniqueKeys: false }), counter }
    }
    const { document, counter } = places
    if (!isMap(document.contents)) return null
    const node = document.getIn(path, true)
    const range = typeof node === 'object' && node !== null && 'range' in node ? (node.range as [number, number, number] | null | undefined) : null
    return range ? counter.linePos(range[0]).line : null
  }
}
