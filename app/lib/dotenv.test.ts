import { describe, expect, it } from 'vitest'
import { looksLikeDotenv, parseDotenv } from './dotenv'

describe('parseDotenv', () => {
  it('reads plain, exported and quoted values and leaves comments out', () => {
    const text = '# head\nA=1\nexport B = two words # note\nC="x # y"\nD=\'$raw\\n\'\n\nE=\n'
    expect(parseDotenv(text)).toEqual([
      { key: 'A', value: '1' },
      { key: 'B', value: 'two words' },
      { key: 'C', value: 'x # y' },
      { key: 'D', value: '$raw\\n' },
      { key: 'E', value: '' },
    ])
  })
  it('keeps values over several lines and turns escapes of double quotes into what they mean', () => {
    expect(parseDotenv('KEY="-----BEGIN\nabc\n-----END"\nN="a\\nb\\"c"')).toEqual([
      { key: 'KEY', value: '-----BEGIN\nabc\n-----END' },
      { key: 'N', value: 'a\nb"c' },
    ])
  })
  it('takes a quote that is never closed as part of the value, and goes on with the next line', () => {
    expect(parseDotenv('A="open\nB=2')).toEqual([
      { key: 'A', value: '"open' },
      { key: 'B', value: '2' },
    ])
  })
  it('lets the later of two equal names win and ignores what is no assignment', () => {
    expect(parseDotenv('A=1\nnonsense\n1X=2\nA=3\r\n')).toEqual([{ key: 'A', value: '3' }])
  })
  it('reads a hash and an equals sign inside a value', () => {
    expect(parseDotenv('URL=postgres://u:p#1@h/db?a=b')).toEqual([{ key: 'URL', value: 'postgres://u:p#1@h/db?a=b' }])
  })
})

describe('looksLikeDotenv', () => {
  it('tells a pasted file from a pasted name', () => {
    expect(looksLikeDotenv('A=1\nB=2')).toBe(true)
    expect(looksLikeDotenv('A=1')).toBe(true)
    expect(looksLikeDotenv('DATABASE_URL')).toBe(false)
    expect(looksLikeDotenv('one\ntwo')).toBe(false)
  })
})
