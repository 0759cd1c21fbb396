import { expect, test } from 'vitest'
import type { RedirectRule } from '@/shared/project-rules'
import { brief, gateFor } from './testing'

const redirectWhere = (key: string, value: string): { redirects: RedirectRule[] } => ({
  redirects: [{ source: '/', destination: '/inside', status: 307, has: [{ type: 'header', key, value }] }],
})

test.each([
  ['x-forwarded-for', '10.0.0.1'],
  ['X-Real-IP', '10.0.0.1'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-host', 'inside.test'],
  ['x_forwarded_for', '10.0.0.1'],
  ['forwarded', 'for=10.0.0.1'],
  ['x-switchyard-team', 'root'],
])('a condition on %s does not hold because a visitor says so', async (key, value) => {
  const { ask } = gateFor(redirectWhere(key, value))
  expect(brief(await ask('/', { headers: { [key.toLowerCase()]: value } }))).toBe('forward as it is')
})

test.each([
  ['x-forwarded-for', '203.0.113.9'],
  ['X-Real-IP', '203.0.113.9'],
  ['x-forwarded-proto', 'http'],
  ['x-forwarded-host', 'app.test:8080'],
])('a condition on %s holds where the router says so', async (key, value) => {
  const { ask } = gateFor(redirectWhere(key, value))
  expect(brief(await ask('/', { headers: { host: 'app.test:8080' } }))).toBe('307 /inside')
})
