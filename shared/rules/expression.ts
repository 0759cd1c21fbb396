/**
 * Parses a regular expression (ECMAScript syntax, flag `s`, because a decoded path may contain line ends). Rejects backreferences and
 * lookbehind, which cannot be matched in linear time: the expressions come from untrusted files.
 */

/** A set of UTF-16 code units. */
export interface CharacterSet {
  /** Inclusive ranges. */
  ranges: [number, number][]
  negated: boolean
}

export type Expression =
  | { kind: 'set'; set: CharacterSet }
  | { kind: 'sequence'; items: Expression[] }
  | { kind: 'choice'; items: Expression[] }
  | { kind: 'repeat'; item: Expression; min: number; max: number; greedy: boolean }
  | { kind: 'group'; index: number; item: Expression }
  | { kind: 'look'; negative: boolean; item: Expression }
  | { kind: 'assert'; at: 'start' | 'end' | 'word' | 'inside' }

export interface ParsedExpression {
  root: Expression
  /** Names of the capturing groups in order; null: unnamed. */
  groups: (string | null)[]
}

/** The expression is invalid, too long or unsupported; the message is for its author. */
export class ExpressionProblem extends Error {
  override name = 'ExpressionProblem'
}

const maxLength = 4096
const maxDepth = 100
const maxRepeat = 1000

const digit: [number, number][] = [[48, 57]]
const word: [number, number][] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
]
const space: [number, number][] = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const control: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13 }

/** @throws ExpressionProblem */
export function parseExpression(source: string): ParsedExpression {
  if (source.length > maxLength) throw new ExpressionProblem(`an expression may have ${maxLength} characters`)
  return new Parser(source).parse()
}

class Parser {
  readonly #source: string
  readonly #groups: (string | null)[] = []
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  parse(): ParsedExpression {
    const root = this.#choice()
    if (this.#at < this.#source.length) throw this.#problem('")" without "("')
    return { root, groups: this.#groups }
  }

  #problem(what: string): ExpressionProblem {
    return new ExpressionProblem(`${what} at character ${this.#at + 1} of "${this.#source.slice(0, 100)}"`)
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #choice(): Expression {
    if (++this.#depth > maxDepth) throw this.#problem(`more than ${maxDepth} groups within each other`)
    const items = [this.#sequence()]
    while (this.#take('|')) items.push(this.#sequence())
    this.#depth -= 1
    return items.length === 1 && items[0] ? items[0] : { kind: 'choice', items }
  }

  #sequence(): Expression {
    const items: Expression[] = []
    while (this.#at < this.#source.length && !'|)'.includes(this.#source.charAt(this.#at))) items.push(this.#quantified())
    return items.length === 1 && items[0] ? items[0] : { kind: 'sequence', items }
  }

  #quantified(): Expression {
    const item = this.#atom()
    const bounds = this.#quantifier()
    if (bounds === null) return item
    if (item.kind === 'assert' || item.kind === 'look') throw this.#problem('nothing to repeat')
    const repeat: Expression = { kind: 'repeat', item, ...bounds, greedy: !this.#take('?') }
    if (this.#quantifier() !== null) throw this.#problem('a repetition of a repetition')
    return repeat
  }

  #quantifier(): { min: number; max: number } | null {
    if (this.#take('*')) return { min: 0, max: Infinity }
    if (this.#take('+')) return { min: 1, max: Infinity }
    if (this.#take('?')) return { min: 0, max: 1 }
    const counted = /^\{(\d{1,9})(?:(,)(\d{1,9})?)?\}/.exec(this.#source.slice(this.#at, this.#at + 24))
    if (!counted) return null
    this.#at += counted[0].length
    const min = Number(counted[1])
    const max = counted[3] !== undefined ? Number(counted[3]) : counted[2] ? Infinity : min
    if (min > max || min > maxRepeat || (max !== Infinity && max > maxRepeat))
      throw this.#problem(`a repetition must be in order and at most ${maxRepeat}`)
    return { min, max }
  }

  #atom(): Expression {
    const char = this.#source.charAt(this.#at)
    this.#at += 1
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return { kind: 'set', set: this.#class() }
      case '.':
        return { kind: 'set', set: { ranges: [], negated: true } }
      case '^':
        return { kind: 'assert', at: 'start' }
      case '$':
        return { kind: 'assert', at: 'end' }
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw this.#problem('nothing to repeat')
      default:
        return literal(char.charCodeAt(0))
    }
  }

  #group(): Expression {
    const look = this.#take('?=') ? false : this.#take('?!') ? true : null
    if (look !== null) return { kind: 'look', negative: look, item: this.#closed() }
    if (this.#take('?:')) return this.#closed()
    if (this.#source.startsWith('?<=', this.#at) || this.#source.startsWith('?<!', this.#at)) throw this.#problem('lookbehind is not supported')
    let name: string | null = null
    if (this.#take('?')) {
      const named = /^<([A-Za-z_$][\w$]{0,99})>/.exec(this.#source.slice(this.#at, this.#at + 110))
      if (!named?.[1]) throw this.#problem('unknown kind of group')
      this.#at += named[0].length
      name = named[1]
    }
    const index = this.#groups.push(name)
    return { kind: 'group', index, item: this.#closed() }
  }

  #closed(): Expression {
    const item = this.#choice()
    if (!this.#take(')')) throw this.#problem('"(" without ")"')
    return item
  }

  #escape(): Expression {
    if (this.#take('b')) return { kind: 'assert', at: 'word' }
    if (this.#take('B')) return { kind: 'assert', at: 'inside' }
    const next = this.#source.charAt(this.#at)
    if (/[1-9]/.test(next) || next === 'k') throw this.#problem('backreferences are not supported')
    const set = this.#escapedSet()
    return typeof set === 'number' ? literal(set) : { kind: 'set', set }
  }

  /** Parses what follows a backslash: a character class, or a single code unit. */
  #escapedSet(): CharacterSet | number {
    const char = this.#source.charAt(this.#at)
    this.#at += 1
    switch (char) {
      case 'd':
      case 'D':
        return { ranges: digit, negated: char === 'D' }
      case 'w':
      case 'W':
        return { ranges: word, negated: char === 'W' }
      case 's':
      case 'S':
        return { ranges: space, negated: char === 'S' }
      case '0':
        return 0
      case 'x':
      case 'u':
        return this.#hex(char === 'x' ? 2 : 4)
      case 'p':
      case 'P':
      case 'c':
        throw this.#problem(`\\${char} is not supported`)
      case '':
        throw this.#problem('a backslash with nothing after it')
      default:
        return control[char] ?? char.charCodeAt(0)
    }
  }

  #hex(digits: number): number {
    const text = this.#source.slice(this.#at, this.#at + digits)
    if (text.length !== digits || !/^[0-9a-f]+$/i.test(text)) throw this.#problem('an escape needs hexadecimal digits')
    this.#at += digits
    return Number.parseInt(text, 16)
  }

  #class(): CharacterSet {
    const negated = this.#take('^')
    const ranges: [number, number][] = []
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) throw this.#problem('"[" without "]"')
      const low = this.#classItem()
      if (typeof low !== 'number') ranges.push(...spread(low))
      else if (this.#source.charAt(this.#at) === '-' && this.#source.charAt(this.#at + 1) !== ']') {
        this.#at += 1
        const high = this.#classItem()
        if (typeof high !== 'number' || high < low) throw this.#problem('a range out of order')
        ranges.push([low, high])
      } else ranges.push([low, low])
    }
    return { ranges, negated }
  }

  #classItem(): CharacterSet | number {
    if (this.#at >= this.#source.length) throw this.#problem('"[" without "]"')
    if (this.#take('\\')) return this.#take('b') ? 8 : this.#escapedSet()
    this.#at += 1
    return this.#source.charCodeAt(this.#at - 1)
  }
}

const makeLiteral = (code: number): Expression => ({ kind: 'set', set: { ranges: [[code, code]], negated: false } })
const asciiLiterals = Array.from({ length: 128 }, (_, code) => makeLiteral(code))
/** Reuses the same object for the same letter, so that its compiled form is shared. */
const literal = (code: number): Expression => asciiLiterals[code] ?? makeLiteral(code)

/** Expands a nested character class into ranges. */
function spread(set: CharacterSet): [number, number][] {
  if (!set.negated) return set.ranges
  const gaps: [number, number][] = []
  let from = 0
  for (const [low, high] of set.ranges.toSorted((a, b) => a[0] - b[0])) {
    if (low > from) gaps.push([from, low - 1])
    from = high + 1
  }
  gaps.push([from, 0xffff])
  return gaps
}
