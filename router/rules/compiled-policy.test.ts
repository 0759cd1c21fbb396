import { expect, test } from 'vitest'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { ruleLimits } from '@/shared/rules/weight'
import { CompiledPolicies } from './compiled-policy'

const heavy = (name: string): ProjectRules => ({
  ...defaultProjectRules,
  redirects: Array.from({ length: 32 }, (_, i) => ({ source: `/${name}${i}/:x(a{950})`, destination: '/', status: 308 as const })),
})

test('small policies of old tables are forgotten, too: each takes more than its rules', () => {
  const policies = new CompiledPolicies({ info: () => {}, warn: () => {}, error: () => {} })
  const small = (i: number): ProjectRules => ({ ...defaultProjectRules, queueTimeoutMs: i })
  const first = policies.get(small(0))
  for (let i = 1; i < 20_000; i += 1) policies.get(small(i))
  expect(policies.get(small(0))).not.toBe(first)
})

test('a policy that a new table says again keeps its form; what old tables said is forgotten by its weight, oldest first', () => {
  const policies = new CompiledPolicies({ info: () => {}, warn: () => {}, error: () => {} })
  const first = policies.get(heavy('first'))
  expect(policies.get(heavy('first'))).toBe(first)
  const enough = Math.ceil(ruleLimits.totalWeight / first.weight) + 1
  expect(enough).toBeLessThan(100)
  let last = first
  for (let i = 0; i < enough; i += 1) last = policies.get(heavy(`p${i}-`))
  expect(policies.get(heavy(`p${enough - 1}-`))).toBe(last)
  expect(policies.get(heavy('first'))).not.toBe(first)
})
