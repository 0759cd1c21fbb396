import { expect, test } from 'vitest'
import { maxDestinationLength, projectRulesSchema } from '@/shared/project-rules-schema'
import { rulesPatch } from '@/shared/rules-settings'
import { mergeRules, nameProjects } from './merge'

const named = (destination: string) => {
  const { rewrites } = rulesPatch.parse({ rewrites: [{ source: '/a', destination }] })
  const policy = mergeRules({}, { rewrites: rewrites ?? [] })
  return { ...policy, rewrites: nameProjects(policy.rewrites, (slug) => `${slug}.apps.example.com`) }
}

test('a rewrite to a project is named by its host', () => {
  expect(named('project:shop/x').rewrites[0]?.destination).toBe('project:shop.apps.example.com/x')
})

test('the longest rewrite to a project that a person may set never makes routers refuse the table', () => {
  const prefix = 'project:shop/'
  for (const length of [maxDestinationLength, maxDestinationLength - 17, maxDestinationLength - 16])
    expect(projectRulesSchema.safeParse(named(prefix + 'x'.repeat(length - prefix.length))).error).toBeUndefined()
})
