import { type Key, parse, tokensToRegexp } from 'path-to-regexp'
import { ExpressionProblem } from './expression'
import { LinearExpression, MatchLimit, maxTextLength, type StepBudget } from './linear'

/** Options as in vercel.json: case-sensitive, a trailing slash matters, and a parameter ends at the next slash. */
const options = { strict: true, sensitive: true, delimiter: '/' } as const
const plainParameter = '[^\\/]+?'
/** Approximate memory of a small native RegExp, in matcher instructions. */
const nativeInstructions = 8
const anything = new Set(['.*', '.*?', '.+', '.+?'])

/** Captured values by name; unnamed parameters are `0`, `1`, … */
export type Captures = ReadonlyMap<string, string>

/** A compiled `source` of a rule (path-to-regexp 6 syntax). */
export interface PathPattern {
  /** The only path that matches, if the pattern has no parameters. */
  readonly literal: string | null
  /** `/blog` if every matching path has this first segment. */
  readonly firstSegment: string | null
  readonly names: readonly string[]
  /** Estimated memory, in matcher instructions. */
  readonly instructions: number
  /**
   * Matches a decoded path. Returns the parameters in the order of `names` ('' for unused ones); null: no match.
   * @throws MatchLimit when the path is too long or the budget is used up.
   */
  match(path: string, budget: StepBudget): string[] | null
}

export interface PatternOptions {
  /** Ignores the case of letters. `literal` and `firstSegment` are then in lower case, and paths must be given in lower case. */
  foldCase?: boolean
}

/** @throws ExpressionProblem with the reason. */
export function compilePattern(source: string, { foldCase = false }: PatternOptions = {}): PathPattern {
  if (!source.startsWith('/') && !source.startsWith('{/') && !source.startsWith('(') && !source.startsWith(':'))
    throw new ExpressionProblem(`a source must begin with "/": "${source.slice(0, 100)}"`)
  try {
    return build(source, foldCase)
  } catch (error) {
    if (error instanceof ExpressionProblem) throw error
    throw new ExpressionProblem(`"${source.slice(0, 100)}" cannot be understood: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function build(source: string, foldCase: boolean): PathPattern {
  const tokens = parse(source, options)
  const only = typeof tokens[0] === 'string' && foldCase ? tokens[0].toLowerCase() : tokens[0]
  if (tokens.length === 1 && typeof only === 'string')
    return { literal: only, firstSegment: firstSegmentOf(only, true), names: [], instructions: 0, match: (path) => (path === only ? [] : null) }
  const keys: Key[] = []
  const expression = tokensToRegexp(tokens, keys, options)
  const names = keys.map((key) => String(key.name))
  const next = tokens[1]
  const first = typeof only === 'string' ? firstSegmentOf(only, typeof next === 'object' && next.prefix.startsWith('/')) : null
  const matching = provablyFast(tokens)
    ? { instructions: nativeInstructions, match: nativeMatch(new RegExp(expression.source, foldCase ? 'si' : 's'), names.length) }
    : linearMatch(new LinearExpression(expression.source, { foldCase }), names.length)
  return { literal: null, firstSegment: first, names, ...matching }
}

/** First segment of `text`; `whole`: the text ends at the end of a segment. */
function firstSegmentOf(text: string, whole: boolean): string | null {
  if (!text.startsWith('/')) return null
  const slash = text.indexOf('/', 1)
  if (slash !== -1) return text.slice(0, slash)
  return whole ? text : null
}

/** Whether a native RegExp matches in linear time: every parameter is a whole segment, and at most one part spans several segments. */
function provablyFast(tokens: ReturnType<typeof parse>): boolean {
  let spanning = 0
  for (const token of tokens) {
    if (typeof token === 'string') continue
    if (token.pattern === '' && (token.modifier === '' || token.modifier === '?')) continue
    if (token.prefix !== '/' || token.suffix !== '') return false
    const repeated = token.modifier === '*' || token.modifier === '+'
    if (anything.has(token.pattern) && !repeated) spanning += 1
    else if (token.pattern !== plainParameter) return false
    else if (repeated) spanning += 1
  }
  const optional = tokens.filter((token) => typeof token === 'object' && token.modifier === '?').length
  return spanning <= 1 && optional <= 2 && !hasTextWithin(tokens)
}

// Patterns such as `/:a-:b` and `/x:a`: within a segment the end of a parameter is ambiguous.
function hasTextWithin(tokens: ReturnType<typeof parse>): boolean {
  return tokens.some((token, i) => typeof token === 'string' && i > 0 && !token.startsWith('/'))
}

function nativeMatch(expression: RegExp, count: number): PathPattern['match'] {
  return (path, budget) => {
    if (path.length > maxTextLength) throw new MatchLimit('the path is too long for the rules of this project')
    // The native engine matches several characters in the time of one step.
    budget.steps -= 10 + (path.length >> 3)
    if (budget.steps < 0) throw new MatchLimit('the rules of this project need too long for this request')
    const found = expression.exec(path)
    if (found === null) return null
    const values: string[] = []
    for (let i = 1; i <= count; i += 1) values.push(found[i] ?? '')
    return values
  }
}

function linearMatch(expression: LinearExpression, count: number): Pick<PathPattern, 'instructions' | 'match'> {
  if (expression.groups.length !== count) throw new ExpressionProblem('groups within a parameter must be (?:…)')
  const match: PathPattern['match'] = (path, budget) => {
    const found = expression.match(path, budget)
    return found === null ? null : found.map((value) => value ?? '')
  }
  return { instructions: expression.size, match }
}
