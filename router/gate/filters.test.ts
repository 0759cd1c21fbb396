import { type PassThrough, Readable, Transform } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { chainFilters } from './filters'
import type { AnswerFilter } from './gate'

type Head = ReturnType<AnswerFilter['onHead']>
const filter = (onHead: AnswerFilter['onHead'], more: Partial<AnswerFilter> = {}): AnswerFilter => ({
  onHead,
  abort: () => {},
  cache: 'miss',
  ...more,
})
const append = (suffix: string) =>
  new Transform({
    transform: (chunk, _, done) => done(null, chunk),
    flush(done) {
      this.push(suffix)
      done()
    },
  })
const through = (suffix: string, name: string) =>
  filter((status, headers) => ({ status, headers: [...headers, [name, '1']], through: append(suffix) }))

async function pass(head: Head, body: string): Promise<string> {
  if (head === null || 'replace' in head || head.through === null) return body
  return text(Readable.from([Buffer.from(body)]).pipe(head.through as PassThrough))
}

test('the second sees head and bytes as the first made them', async () => {
  const head = chainFilters(through('+a', 'A'), through('+b', 'B'))?.onHead(200, [])
  expect(head).toMatchObject({
    status: 200,
    headers: [
      ['A', '1'],
      ['B', '1'],
    ],
  })
  expect(await pass(head ?? null, 'x')).toBe('x+a+b')
})

test('one that lets an answer pass leaves it to the other; a replacement ends it', async () => {
  const idle = filter(() => null)
  expect(await pass(chainFilters(idle, through('+b', 'B'))?.onHead(200, []) ?? null, 'x')).toBe('x+b')
  expect(await pass(chainFilters(through('+a', 'A'), idle)?.onHead(200, []) ?? null, 'x')).toBe('x+a')
  const answer = { status: 200, headers: [], body: null, cache: 'revalidated', why: null } as const
  const replaced = chainFilters(
    filter(() => ({ replace: { ...answer, headers: [] } })),
    through('+b', 'B'),
  )?.onHead(304, [])
  expect(replaced).toEqual({ replace: answer })
  expect(chainFilters(null, idle)).toBe(idle)
  expect(chainFilters(null, null)).toBeNull()
})

test('an answer is looked at when either wants it, and both are told when it breaks off', () => {
  const told: string[] = []
  const picky = filter(() => null, { wants: () => false, abort: () => void told.push('a') })
  const eager = filter(() => null, { wants: (status) => status === 200, abort: () => void told.push('b') })
  const chain = chainFilters(picky, eager)
  expect(chain?.wants?.(200, () => undefined)).toBe(true)
  expect(chain?.wants?.(404, () => undefined)).toBe(false)
  chain?.abort()
  expect(told).toEqual(['a', 'b'])
})
