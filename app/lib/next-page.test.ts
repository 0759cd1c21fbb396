import { expect, it } from 'vitest'
import { ownPage } from './next-page'

const elsewhere = [
  '//evil.example/',
  '/\t/evil.example/',
  '/\n/evil.example/',
  '/\\evil.example/',
  '/\t\\evil.example/',
  '/.//evil.example/',
  '/a/..//evil.example/',
  '/%2e//evil.example/',
  '\t//evil.example/',
  'https://evil.example/',
  'javascript:alert(1)',
  '@evil.example',
  '',
]

it.each(elsewhere)('nobody is led to another site after sign-in: %j', (next) => {
  const page = ownPage(next)
  expect(page === null || new URL(page, 'http://dashboard.example').origin === 'http://dashboard.example').toBe(true)
  expect(page ?? '').not.toContain('evil.example/')
})

it('a page of the dashboard is kept with its query and fragment', () => {
  expect(ownPage('/shop/deployments?status=FAILED#log')).toBe('/shop/deployments?status=FAILED#log')
  expect(ownPage('/shop/domains/xn--bcher-kva.example')).toBe('/shop/domains/xn--bcher-kva.example')
})

it('what is no text names no page', () => {
  expect(ownPage(undefined)).toBeNull()
  expect(ownPage(['/a', '/b'])).toBeNull()
})
