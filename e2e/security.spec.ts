import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, type Page, test } from '@playwright/test'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { attachOutputs } from './support/outputs'
import { signIn } from './support/sign-in'

let platform: RunningPlatform
let framing: Server

test.beforeAll(async () => {
  platform = await startPlatform({ runtime: 'process' })
  framing = createServer((_, answer) => answer.end(`<!doctype html><title>An app</title><iframe src="${platform.url}/login"></iframe>`))
  await new Promise<void>((resolve) => framing.listen(0, '127.0.0.1', resolve))
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  framing?.close()
  await platform?.stop()
})

/** What the browser says in its console. */
function consoleOf(page: Page): string[] {
  const said: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') said.push(`${message.text()} (${page.url()})`)
  })
  page.on('pageerror', (error) => said.push(String(error)))
  return said
}

test('every page works under its policy, without a word in the console', async ({ page }) => {
  const said = consoleOf(page)
  await page.goto(`${platform.url}/login`)
  await page.getByLabel('E-mail').fill(platform.email)
  await page.getByLabel('Password').fill('not this one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'wrong' })).toBeVisible()
  // The browser itself reports the answer 401 to a wrong password.
  expect(said.filter((text) => !text.includes('401'))).toEqual([])
  said.length = 0
  await signIn(page, platform)
  for (const path of ['/', '/new', '/deployments', '/certificates', '/settings']) {
    const answer = await page.goto(`${platform.url}${path}`)
    expect(answer?.headers()['content-security-policy']).toContain("frame-ancestors 'none'")
    await expect(page.getByRole('button', { name: 'Account menu' })).toBeVisible()
  }
  await page.getByRole('button', { name: 'Account menu' }).click()
  await expect(page.getByRole('menuitem', { name: 'Sign out' })).toBeVisible()
  expect(said).toEqual([])
  const missing = await page.goto(`${platform.url}/nothing/here/at/all`)
  expect(missing?.headers()['content-security-policy']).toContain("'strict-dynamic'")
  expect(said.filter((text) => !text.includes('404'))).toEqual([])
})

test('an app on another host cannot show the dashboard in a frame', async ({ page }) => {
  await page.goto(`http://127.0.0.1:${(framing.address() as AddressInfo).port}/`)
  const frame = page.frames().find((one) => one !== page.mainFrame())
  await expect.poll(() => frame?.url()).toContain('chrome-error://')
})

test('the API answers with the same headers, errors and unknown paths too', async ({ request }) => {
  for (const path of ['/api/health', '/api/v1/me', '/api/v1/nothing', '/api/trpc/me.get', '/api/auth/session', '/icon.svg', '//evil.example/']) {
    const headers = (await request.get(`${platform.url}${path}`, { maxRedirects: 0 })).headers()
    expect([path, headers['x-content-type-options'], headers['x-frame-options'], headers['referrer-policy']]).toEqual([
      path,
      'nosniff',
      'DENY',
      'strict-origin-when-cross-origin',
    ])
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(headers.location ?? '').not.toContain('//evil.example')
  }
})

test('signing out ends a copied cookie; a planted second one is not taken; sign-in leads to no other site', async ({ page, request }) => {
  await page.goto(`${platform.url}/login?next=%2F%09%2Fevil.example%2F`)
  await page.getByLabel('E-mail').fill(platform.email)
  await page.getByLabel('Password').fill(platform.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('button', { name: 'Account menu' })).toBeVisible()
  expect(new URL(page.url()).origin).toBe(new URL(platform.url).origin)
  const cookies = await page.context().cookies()
  const copied = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const session = cookies.find(({ name }) => name === 'next-auth.session-token')
  const me = async (cookie: string) => (await request.get(`${platform.url}/api/v1/me`, { headers: { cookie } })).status()
  expect(await me(copied)).toBe(200)
  expect(await me(`__Secure-next-auth.session-token=junk; ${copied}`)).toBe(200)
  expect(await me(`next-auth.session-token=planted; ${copied}`)).toBe(401)
  await page.getByRole('button', { name: 'Account menu' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(/\/login$/)
  expect(await me(copied)).toBe(401)
  expect(session?.httpOnly).toBe(true)
})
