import { type CharacterSet, type Expression, ExpressionProblem, parseExpression } from './expression'

/**
 * Regular expressions with bounded time: backtracking that never tries the same instruction at the same position of the text twice, so a match
 * costs at most instructions × characters (RE2's "bit state" matcher). Finds the same match as a backtracking engine.
 */

/** Longer texts are rejected with MatchLimit. */
export const maxTextLength = 4096
const maxInstructions = 1000

/** Remaining work for one request, in steps of about 10 ns, shared by all expressions. */
export class StepBudget {
  constructor(public steps: number) {}
}

/** The text is too long, or the budget is used up. */
export class MatchLimit extends Error {
  override name = 'MatchLimit'
}

const op = { set: 0, split: 1, jump: 2, save: 3, look: 4, assert: 5, end: 6 } as const

interface Instruction {
  op: number
  /** Next instruction; for `split`, the branch to try first. */
  next: number
  other: number
  set: CompiledSet | null
  negative: boolean
  at: 'start' | 'end' | 'word' | 'inside'
}

/** Position × instruction → number of the run that tried it. Shared by all expressions, because matching never yields. */
let tried = new Uint32Array(0)
let lastRun = 0

export class LinearExpression {
  /** Names of the capturing groups in order; null: unnamed. */
  readonly groups: readonly (string | null)[]
  readonly #program: Instruction[] = []
  readonly #foldCase: boolean

  /** @param foldCase letters match in either case. @throws ExpressionProblem when the expression is invalid, unsupported or too large. */
  constructor(source: string, { foldCase = false } = {}) {
    const { root, groups } = parseExpression(source)
    this.#foldCase = foldCase
    this.groups = groups
    this.#emit(root)
    this.#add(op.end)
  }

  get size(): number {
    return this.#program.length
  }

  /** Matches the whole text. Returns the value of each group (undefined: unused); null: no match. @throws MatchLimit */
  match(text: string, budget: StepBudget): (string | undefined)[] | null {
    if (text.length > maxTextLength) throw new MatchLimit(`a text of ${text.length} characters is too long to be matched`)
    const slots: number[] = new Array(2 * this.groups.length + 2).fill(-1)
    this.#prepare(text.length)
    if (!this.#run(0, 0, text, budget, slots)) return null
    return this.groups.map((_, i) => {
      const start = slots[2 * i + 2] ?? -1
      const end = slots[2 * i + 3] ?? -1
      return start >= 0 && end >= start ? text.slice(start, end) : undefined
    })
  }

  #add(code: number, more: Partial<Instruction> = {}): number {
    if (this.#program.length >= maxInstructions) throw new ExpressionProblem('the expression is too large')
    return this.#program.push({ op: code, next: this.#program.length + 1, other: -1, set: null, negative: false, at: 'start', ...more }) - 1
  }

  #point(index: number, part: Partial<Instruction>): void {
    Object.assign(this.#program[index] as Instruction, part)
  }

  get #here(): number {
    return this.#program.length
  }

  #emit(expression: Expression): void {
    switch (expression.kind) {
      case 'set':
        this.#add(op.set, { set: this.#foldCase ? new CompiledSet(inEitherCase(expression.set)) : compiledSet(expression.set) })
        return
      case 'sequence':
        for (const item of expression.items) this.#emit(item)
        return
      case 'choice':
        this.#emitChoice(expression.items)
        return
      case 'repeat':
        this.#emitRepeat(expression)
        return
      case 'group':
        this.#add(op.save, { other: 2 * expression.index })
        this.#emit(expression.item)
        this.#add(op.save, { other: 2 * expression.index + 1 })
        return
      case 'assert':
        this.#add(op.assert, { at: expression.at })
        return
      case 'look': {
        const look = this.#add(op.look, { negative: expression.negative })
        this.#emit(expression.item)
        this.#add(op.end)
        this.#point(look, { next: this.#here, other: look + 1 })
      }
    }
  }

  #emitChoice(items: Expression[]): void {
    const exits: number[] = []
    for (const [i, item] of items.entries()) {
      const last = i === items.length - 1
      const split = last ? -1 : this.#add(op.split)
      this.#emit(item)
      if (last) continue
      exits.push(this.#add(op.jump))
      this.#point(split, { other: this.#here })
    }
    for (const exit of exits) this.#point(exit, { next: this.#here })
  }

  #emitRepeat({ item, min, max, greedy }: Extract<Expression, { kind: 'repeat' }>): void {
    for (let i = 0; i < min; i += 1) this.#emit(item)
    const branch = (split: number, body: number, exit: number) =>
      this.#point(split, greedy ? { next: body, other: exit } : { next: exit, other: body })
    if (max === Infinity) {
      const split = this.#add(op.split)
      this.#emit(item)
      this.#add(op.jump, { next: split })
      branch(split, split + 1, this.#here)
      return
    }
    const splits: number[] = []
    for (let i = min; i < max; i += 1) {
      splits.push(this.#add(op.split))
      this.#emit(item)
    }
    for (const split of splits) branch(split, split + 1, this.#here)
  }

  #prepare(length: number): void {
    const needed = this.#program.length * (length + 1)
    if (tried.length < needed) tried = new Uint32Array(Math.max(needed, 65_536))
    if (lastRun > 0xf000_0000) {
      tried.fill(0)
      lastRun = 0
    }
  }

  /**
   * Runs the program from an instruction and a text position up to an `end`; the whole program must end at the end of the text. `jobs` is
   * the backtracking stack of instruction and position; an instruction of -1 - slot restores a capture.
   */
  #run(start: number, from: number, text: string, budget: StepBudget, slots: number[] | null): boolean {
    const run = ++lastRun
    const width = text.length + 1
    const jobs = [start, from]
    while (jobs.length > 0) {
      let at = jobs.pop() as number
      let pc = jobs.pop() as number
      if (pc < 0) {
        if (slots) slots[-1 - pc] = at
        continue
      }
      for (;;) {
        const place = pc * width + at
        if (tried[place] === run) break
        tried[place] = run
        if (--budget.steps < 0) throw new MatchLimit('the rules of this project need too long for this request')
        const step = this.#program[pc] as Instruction
        if (step.op === op.set) {
          if (at >= text.length || !(step.set as CompiledSet).has(text.charCodeAt(at))) break
          at += 1
        } else if (step.op === op.split) jobs.push(step.other, at)
        else if (step.op === op.save) {
          if (slots) {
            jobs.push(-1 - step.other, slots[step.other] ?? -1)
            slots[step.other] = at
          }
        } else if (step.op === op.look) {
          if (this.#run(step.other, at, text, budget, null) === step.negative) break
        } else if (step.op === op.assert) {
          if (!holds(step.at, text, at)) break
        } else if (step.op === op.end) {
          if (slots === null || at === text.length) return true
          break
        }
        pc = step.next
      }
    }
    return false
  }
}

/** `[a-z]{1000}` has a thousand instructions that share one set. */
const compiledSets = new WeakMap<CharacterSet, CompiledSet>()
function compiledSet(set: CharacterSet): CompiledSet {
  let compiled = compiledSets.get(set)
  if (!compiled) {
    compiled = new CompiledSet(set)
    compiledSets.set(set, compiled)
  }
  return compiled
}

const wordSet = /\w/
function holds(assertion: Instruction['at'], text: string, at: number): boolean {
  if (assertion === 'start') return at === 0
  if (assertion === 'end') return at === text.length
  const boundary = wordSet.test(text.charAt(at - 1)) !== wordSet.test(text.charAt(at))
  return boundary === (assertion === 'word')
}

/** Adds the other case of ASCII letters and single characters, as flag `i` does. */
function inEitherCase({ ranges, negated }: CharacterSet): CharacterSet {
  const folded: [number, number][] = [...ranges]
  for (const [low, high] of ranges) {
    if (low <= 90 && high >= 65) folded.push([Math.max(low, 65) + 32, Math.min(high, 90) + 32])
    if (low <= 122 && high >= 97) folded.push([Math.max(low, 97) - 32, Math.min(high, 122) - 32])
    if (low !== high || low < 128) continue
    const sign = String.fromCharCode(low)
    for (const other of [sign.toLowerCase(), sign.toUpperCase()]) if (other.length === 1) folded.push([other.charCodeAt(0), other.charCodeAt(0)])
  }
  return { ranges: folded, negated }
}

class CompiledSet {
  readonly #ascii = new Uint8Array(128)
  readonly #ranges: [number, number][]
  readonly #negated: boolean

  constructor({ ranges, negated }: CharacterSet) {
    this.#ranges = ranges.filter(([, high]) => high > 127)
    this.#negated = negated
    if (negated) this.#ascii.fill(1)
    for (const [low, high] of ranges) this.#ascii.fill(negated ? 0 : 1, low, Math.min(high, 127) + 1)
  }

  has(code: number): boolean {
    if (code < 128) return this.#ascii[code] === 1
    for (const [low, high] of this.#ranges) if (code >= low && code <= high) return !this.#negated
    return this.#negated
  }
}
