import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createMask } from './mask'

describe('the mask', () => {
  it('replaces secrets, each line of a longer one, and their encoded forms', () => {
    const mask = createMask({ KEY: 'first-line-1\nsecond-line', URL_PART: 'a b&c/d e' })
    expect(mask('x second-line y')).toBe('x [secret KEY] y')
    expect(mask('first-line-1\nsecond-line')).toBe('[secret KEY]\n[secret KEY]')
    expect(mask('q=a%20b%26c%2Fd%20e')).toBe('q=[secret URL_PART]')
  })
  it('prefers the longer of two secrets that overlap', () => {
    const mask = createMask({ A: 'secret', B: 'secret-and-more' })
    expect(mask('secret-and-more')).toBe('[secret B]')
    expect(mask('secret-and-less, secret')).toBe('[secret A]-and-less, [secret A]')
  })
  it('leaves short values and words of every log alone', () => {
    expect(createMask({ PORT: '3000', NODE_ENV: 'production' })('production on 3000')).toBe('production on 3000')
  })
  it('leaves text alone that it has masked before', () => {
    const mask = createMask({ SECRET_KEY: 'secret', OTHER: '[secret' })
    expect(mask(mask('my secret'))).toBe('my [secret SECRET_KEY]')
  })
  it('takes every character of a value for itself', () => {
    const value = String.raw`a.*b$c^d(e[f{g|h\i+j?`
    expect(createMask({ KEY: value })(`<${value}> a.xxb$c^d`)).toBe('<[secret KEY]> a.xxb$c^d')
  })
  it.each([
    ['64,000 characters', 'x'.repeat(63_990) + '0123456789'],
    ['150,000 bytes of Japanese', '漢字'.repeat(25_000)],
    ['a lone surrogate', 'abcdef\ud800ghijkl'],
  ])('hides a value of %s and never says it in an error', (_, value) => {
    const mask = createMask({ BIG: value, OTHER: 'other-secret' })
    expect(mask(`before ${value} after other-secret`)).toBe('before [secret BIG] after [secret OTHER]')
    // A line is cut long before such a value ends.
    expect(mask(`before ${value.slice(0, 60_000)}`)).toBe('before [secret BIG]')
  })
  it('hides a secret on both sides of the cut between two pieces of a line', () => {
    const piece = createMask({ KEY: 'long-secret-value-4711', BIG: 'y'.repeat(50_000) }).pieces()
    expect([piece('x long-secr', true), piece('et-value-4711 z', false), piece('et-value-4711', false)]).toEqual([
      'x [secret KEY]',
      '[secret KEY] z',
      'et-value-4711',
    ])
    expect([piece('y'.repeat(16_384), true), piece('y'.repeat(16_384), true), piece('y!', false)]).toEqual([
      '[secret BIG]',
      '[secret BIG]',
      '[secret BIG]!',
    ])
    expect(piece('ends with long', true)).toBe('ends with long')
    expect(piece('-secret-value-4711', false)).toBe('[secret KEY]')
  })
  it('masks 100 keys in PEM, and asks no more of a text than a bounded number of looks at each character', () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const lines = privateKey.trim().split('\n')
    const env = Object.fromEntries(
      Array.from({ length: 100 }, (_, at) => [
        `KEY_${at}`,
        lines.map((line) => (line.startsWith('--') ? line : `${at}${line}`.slice(0, 64))).join('\n'),
      ]),
    )
    const mask = createMask(env)
    for (const value of Object.values(env)) for (const line of value.split('\n')) expect(mask(`> ${line} <`)).toMatch(/^> \[secret KEY_\d+\] <$/)
  })
})
