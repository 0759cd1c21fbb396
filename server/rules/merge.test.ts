import { expect, test } from 'vitest'
import { maxDestinationLength, projectRulesSchema } from '@/shared/project-rules-schema'
import { rulesPatch } from '@/shared/rules-settings'
import { layRules, mergeRules, nameProjects, withLinks } from './merge'

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

test('rules of an environment come before those it inherits, and cannot lift protection or maintenance', () => {
  const redirect = (source: string) => ({ source, destination: '/', status: 308 as const })
  const protection = { kind: 'token' as const, digests: [] }
  const inherited = {
    redirects: [redirect('/a')],
    cleanUrls: true,
    protection,
    allowedAddresses: ['192.0.2.1'],
    errorPages: { '404': '/a', '5xx': '/b' },
  }
  const own = { redirects: [redirect('/b')], cleanUrls: false, protection: null, allowedAddresses: [], errorPages: { '404': '/c' } }
  expect(layRules(inherited, own)).toEqual({
    redirects: [redirect('/b'), redirect('/a')],
    cleanUrls: false,
    protection,
    allowedAddresses: ['192.0.2.1'],
    errorPages: { '404': '/c', '5xx': '/b' },
  })
  expect(layRules({}, {})).toEqual({})
})

test('a preview is protected without a rule and without a link, and links open what rules protect', () => {
  const links = [{ digest: 'a'.repeat(64), expiresAt: 1 }]
  const users = [{ name: 'ann', hash: 'x' }]
  expect(withLinks(null, false, links)).toBeNull()
  expect(withLinks(null, true, [])).toEqual({ kind: 'token', digests: [] })
  expect(withLinks(null, true, links)).toEqual({ kind: 'token', digests: [], links })
  expect(withLinks({ kind: 'basic', users }, false, links)).toEqual({ kind: 'basic', users, links })
})
