import { expect, test } from 'vitest'
import { fairShares, fitting } from './shares'

test('who asks for less than an equal part gets it whole, however much others ask for', () => {
  const shares = fairShares(
    100,
    new Map([
      ['huge', 1_000_000],
      ['small', 5],
      ['large', 60],
    ]),
  )
  expect(shares).toEqual(
    new Map([
      ['small', 5],
      ['large', 47.5],
      ['huge', 47.5],
    ]),
  )
})

test('what fits is kept whole; beyond it the greediest team gives way, its greediest project first, its last things first', () => {
  const charge = (teamId: string, projectId: string, size: number) => ({ teamId, projectId, size })
  const modest = [charge('a', 'a1', 10), charge('b', 'b1', 10)]
  expect(fitting(modest, 20)).toEqual(new Set(modest))
  const greedy = Array.from({ length: 50 }, () => charge('c', 'c1', 10))
  const neighbour = charge('c', 'c2', 10)
  const fit = fitting([...modest, ...greedy, neighbour], 100)
  expect([...modest, neighbour].every((one) => fit.has(one))).toBe(true)
  expect(greedy.map((one) => fit.has(one))).toEqual(greedy.map((_, i) => i < 7))
})
