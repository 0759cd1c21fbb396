import type { RuleCondition } from '../project-rules'
import { ExpressionProblem } from './expression'
import { LinearExpression, type StepBudget } from './linear'

/** Parts of a request that conditions read; computed on demand. */
export interface ConditionFacts {
  readonly host: string
  header(name: string): string | undefined
  cookie(name: string): string | undefined
  /** The last value of a query parameter. */
  queryValue(name: string): string | undefined
}

export interface Conditions {
  /** Names that the conditions capture: named groups, and the keys of conditions without a value. */
  readonly names: readonly string[]
  /** Estimated memory, in matcher instructions. */
  readonly instructions: number
  /** Whether every `has` and no `missing` condition holds; writes captured values into `captures`. @throws MatchLimit */
  hold(facts: ConditionFacts, captures: Map<string, string>, budget: StepBudget): boolean
}

interface Condition {
  read(facts: ConditionFacts): string | undefined
  names: string[]
  instructions: number
  test(value: string, captures: Map<string, string>, budget: StepBudget): boolean
}

/** Compiles conditions; null: no conditions. @throws ExpressionProblem */
export function compileConditions(has: RuleCondition[] | undefined, missing: RuleCondition[] | undefined): Conditions | null {
  if (!has?.length && !missing?.length) return null
  const wanted = (has ?? []).map(compileCondition)
  const unwanted = (missing ?? []).map(compileCondition)
  return {
    names: wanted.flatMap((condition) => condition.names),
    instructions: [...wanted, ...unwanted].reduce((sum, condition) => sum + condition.instructions, 0),
    hold: (facts, captures, budget) =>
      wanted.every((condition) => holds(condition, facts, captures, budget)) &&
      !unwanted.some((condition) => holds(condition, facts, new Map(), budget)),
  }
}

function holds(condition: Condition, facts: ConditionFacts, captures: Map<string, string>, budget: StepBudget): boolean {
  const value = condition.read(facts)
  return value !== undefined && condition.test(value, captures, budget)
}

function compileCondition({ type, key, value }: RuleCondition): Condition {
  if (type !== 'host' && !key) throw new ExpressionProblem(`a condition on a ${type} names its key`)
  if (type === 'host' && value === undefined) throw new ExpressionProblem('a condition on the host has a value')
  const name = type === 'header' ? (key ?? '').toLowerCase() : (key ?? '')
  const read = {
    header: (facts: ConditionFacts) => facts.header(name),
    cookie: (facts: ConditionFacts) => facts.cookie(name),
    query: (facts: ConditionFacts) => facts.queryValue(name),
    host: (facts: ConditionFacts) => facts.host,
  }[type]
  return { read, ...compileValue(value, name) }
}

function compileValue(value: string | undefined, key: string): Pick<Condition, 'names' | 'instructions' | 'test'> {
  if (value === undefined) {
    const name = key.replace(/[^A-Za-z0-9_]/g, '')
    const test: Condition['test'] = (text, captures) => {
      captures.set(name, text)
      return true
    }
    return { names: [name], instructions: 1, test }
  }
  if (/^[\w/:,;=@ -]*$/.test(value)) return { names: [], instructions: 1, test: (text) => text === value }
  const expression = new LinearExpression(value)
  return {
    names: expression.groups.filter((name) => name !== null),
    instructions: expression.size,
    test: (text, captures, budget) => {
      const found = expression.match(text, budget)
      for (const [i, name] of expression.groups.entries()) if (found && name !== null) captures.set(name, found[i] ?? '')
      return found !== null
    },
  }
}
