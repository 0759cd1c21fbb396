import { expect, test } from 'vitest'
import { fitting } from './shares'

const charge = (teamId: string, projectId: string, size: number) => ({ teamId, projectId, size })

test('a team that asks for no more than an equal share gets everything, however much others ask for', () => {
  const small = [charge('a', 'a1', 20), charge('b', 'b1', 33)]
  const huge = Array.from({ length: 1000 }, (_, i) => charge('c', `c${i}`, 1))
  const fit = fitting([...huge, ...small], 100)
  expect(small.every((own) => fit.has(own))).toBe(true)
  expect(fit.size).toBe(2 + 47)
})

test('everything is kept when it fits; otherwise the largest team gives way, its largest project first, its last entries first', () => {
  const modest = [charge('a', 'a1', 10), charge('b', 'b1', 10)]
  expect(fitting(modest, 20)).toEqual(new Set(modest))
  const greedy = Array.from({ length: 50 }, () => charge('c', 'c1', 10))
  const neighbour = charge('c', 'c2', 10)
  const fit = fitting([...modest, ...greedy, neighbour], 100)
  expect([...modest, neighbour].every((one) => fit.has(one))).toBe(true)
  expect(greedy.map((one) => fit.has(one))).toEqual(greedy.map((_, i) => i < 7))
})
