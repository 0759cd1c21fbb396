import type { ProjectRules } from '@/shared/project-rules'
import {
  headerRuleSchema,
  projectRulesFields,
  projectRulesSchema,
  rateLimitRuleSchema,
  redirectRuleSchema,
  rewriteRuleSchema,
} from '@/shared/project-rules-schema'
import { findRuleProblems } from '@/shared/rules/rules'
import { findExcess } from '@/shared/rules/weight'
import type { TreeFiles } from '../tree-files'
import { readHeadersFile } from './headers-file'
import { readJsonFile } from './json-file'
import { readRedirectsFile } from './redirects-file'
import { accessUnread, tooMany } from './refusals'
import { maxWarnings, type ParsedRules, type Placed, type RuleFile, type RuleWarning } from './rule-file'

const maxFileBytes = 256 * 1024

/** Rules found so far, with file and line. */
type Kind = 'redirects' | 'rewrites' | 'headers' | 'rateLimits'
type Sourced<K extends Kind> = Placed<ProjectRules[K][number]> & { file: string }
type Collected = { [K in Kind]: Sourced<K>[] }

/**
 * Parses the rules in a project's files. `files` is in order of precedence: rules of the first file come first, and its switches win. Invalid
 * rules are omitted with a warning (file and line).
 * @throws ERR_DETECT when the rules exceed a limit, or an access rule is invalid
 */
export function parseRuleFiles(files: readonly RuleFile[]): ParsedRules {
  const all: Collected = { redirects: [], rewrites: [], headers: [], rateLimits: [] }
  const warnings: RuleWarning[] = []
  let settings: Partial<ProjectRules> = {}
  for (const file of files) {
    const found = readFile(file)
    const sourced = <R>(rules: readonly Placed<R>[] | undefined) => (rules ?? []).map((placed) => ({ ...placed, file: file.name }))
    all.redirects.push(...sourced(found.redirects))
    all.rewrites.push(...sourced(found.rewrites))
    all.headers.push(...sourced(found.headers))
    all.rateLimits.push(...sourced(found.rateLimits))
    const own = usableSettings(found.settings, file.name, warnings)
    settings = { ...own, ...settings, ...mergedPages(own, settings) }
    warnings.push(...found.warnings)
  }
  refuseExcess(
    { redirects: rulesOf(all.redirects), rewrites: rulesOf(all.rewrites), headers: rulesOf(all.headers), rateLimits: rulesOf(all.rateLimits) },
    files,
  )
  const policy: Partial<ProjectRules> = { ...settings }
  for (const kind of Object.keys(all) as Kind[]) Object.assign(policy, usable(all, kind, warnings))
  refuseExcess(policy, files)
  return checked(policy, warnings)
}

const rulesOf = <R>(placed: readonly Placed<R>[]): R[] => placed.map(({ rule }) => rule)

/** Checked before compiling each rule, and again for all rules together. */
function refuseExcess(policy: Partial<ProjectRules>, files: readonly RuleFile[]): void {
  const excess = findExcess(policy)
  if (excess !== null) throw tooMany(files.map(({ name }) => name).join(', '), null, excess)
}

type Found = { [K in Kind]?: Placed<ProjectRules[K][number]>[] } & { settings: Partial<ProjectRules>; warnings: RuleWarning[] }

function readFile(file: RuleFile): Found {
  if (file.kind === '_headers') return { ...readHeadersFile(file.text, file.name), settings: {} }
  if (file.kind !== '_redirects') return readJsonFile(file)
  const { notFound, ...rules } = readRedirectsFile(file.text, file.name)
  return { ...rules, settings: notFound === null ? {} : { errorPages: { '404': notFound } } }
}

function mergedPages(later: Partial<ProjectRules>, earlier: Partial<ProjectRules>): Partial<ProjectRules> {
  return later.errorPages && earlier.errorPages ? { errorPages: { ...later.errorPages, ...earlier.errorPages } } : {}
}

/** Fields within the routers' limits; others become warnings. */
function usableSettings(given: Partial<ProjectRules>, file: string, warnings: RuleWarning[]): Partial<ProjectRules> {
  const kept = Object.entries(given).filter(([field, value]) => {
    const problem = projectRulesFields[field as keyof ProjectRules].safeParse(value).error?.issues[0]
    if (problem && field === 'allowedAddresses') throw accessUnread(file, null, `${field} is not understood: ${problem.message}`)
    if (problem) warnings.push({ file, line: null, message: `${field} is left out: ${problem.message}` })
    return !problem
  })
  return Object.fromEntries(kept)
}

const ruleSchemas = { redirects: redirectRuleSchema, rewrites: rewriteRuleSchema, headers: headerRuleSchema, rateLimits: rateLimitRuleSchema }

/** Rules that compile and are within the routers' limits; others become warnings. */
function usable<K extends Kind>(all: Collected, kind: K, warnings: RuleWarning[]): Partial<ProjectRules> {
  const placed: Sourced<K>[] = all[kind]
  const problems = new Map(findRuleProblems({ [kind]: placed.map(({ rule }) => rule) }).map(({ at, message }) => [at, message]))
  const kept = placed.filter(({ rule, file, line }, i) => {
    const message = problems.get(`${kind}.${i}`) ?? ruleSchemas[kind].safeParse(rule).error?.issues[0]?.message
    if (message !== undefined) warnings.push({ file, line, message: `this rule is left out: ${message}` })
    return message === undefined
  })
  return kept.length > 0 ? { [kind]: kept.map(({ rule }) => rule) } : {}
}

function checked(policy: Partial<ProjectRules>, warnings: RuleWarning[]): ParsedRules {
  const cut = warnings.slice(0, maxWarnings)
  if (warnings.length > maxWarnings) cut.push({ file: 'rules', line: null, message: `${warnings.length - maxWarnings} more warnings are not shown` })
  // Check with the routers' own schema, because routers refuse a table with an invalid rule.
  const issue = projectRulesSchema.safeParse(policy).error?.issues[0]
  if (issue) throw tooMany('rules', null, `together they are not understood: ${issue.path.join('.')} ${issue.message}`)
  return { policy, warnings: cut }
}

/**
 * Finds files with rules in a source tree: in its root, and in directories whose files frameworks publish unchanged. `files` starts at the
 * project's root directory.
 */
export async function findRuleFiles(files: TreeFiles, outputDirectory: string | null): Promise<RuleFile[]> {
  const found: RuleFile[] = []
  for (const kind of ['switchyard.json', 'vercel.json'] as const) await add(found, files, kind, kind)
  const folders = [...new Set(['', 'public', 'static', ...(outputDirectory ? [outputDirectory] : [])])]
  for (const kind of ['_redirects', '_headers'] as const) {
    const before = found.length
    for (const folder of folders) if (found.length === before) await add(found, files, kind, folder ? `${folder}/${kind}` : kind)
  }
  return found
}

async function add(found: RuleFile[], files: TreeFiles, kind: RuleFile['kind'], name: string): Promise<void> {
  const text = await files.read(name, maxFileBytes)
  if (text !== null) found.push({ kind, name, text })
  else if (await files.isFile(name)) throw tooMany(name, null, `the file is larger than ${maxFileBytes / 1024} KiB or cannot be read`)
}
