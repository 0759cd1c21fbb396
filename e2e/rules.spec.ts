import { expect, test } from '@playwright/test'
import { api, deployByCli, folder } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { openPlatformDatabase } from '@/test/support/platform-database'
import { attachOutputs } from './support/outputs'
import { pageErrors, signIn } from './support/sign-in'

test.use({ actionTimeout: 30_000 })

let platform: RunningPlatform
let source: Awaited<ReturnType<typeof folder>>
const host = 'site.localhost'

test.beforeAll(async () => {
  platform = await startPlatform({ runtime: 'process' })
  source = await folder({
    'index.html': '<h1>home</h1>',
    'about.html': 'about',
    'vercel.json': JSON.stringify({ redirects: [{ source: '/from-file', destination: '/about' }] }),
  })
  const deployed = await deployByCli(platform, source.directory, 'site')
  expect(deployed.code, deployed.stderr).toBe(0)
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await platform?.stop()
  await source?.remove()
})

test('a redirect is set, holds at once, and a wrong one is explained and changes nothing', async ({ page }) => {
  const errors = pageErrors(page)
  await signIn(page, platform)
  await page.goto(`${platform.url}/site`)
  await page.getByRole('link', { name: 'Rules' }).click()
  await expect(page.getByRole('heading', { name: 'Rules' })).toBeVisible()
  const redirects = page.getByRole('region', { name: 'Redirects' })
  await expect(redirects.getByText('/from-file → /about (308)')).toBeVisible()
  await redirects.getByRole('button', { name: 'Add' }).click()
  await redirects.getByLabel('Path').fill('/old/:slug(')
  await redirects.getByLabel('Destination').fill('/about?from=:slug')
  await redirects.getByRole('button', { name: 'Save' }).click()
  await expect(redirects.getByText(/redirects 1: .*cannot be understood/)).toBeVisible()
  await redirects.getByLabel('Path').fill('/old/:slug')
  await redirects.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Redirects saved: visitors get it now')).toBeVisible()
  expect(await platform.visit(host, '/old/x')).toMatchObject({ status: 308, headers: { location: '/about?from=x' } })
  await page.reload()
  await expect(redirects.getByLabel('Path')).toHaveValue('/old/:slug')
  await redirects.getByRole('button', { name: 'Remove redirects 1' }).click()
  await redirects.getByRole('button', { name: 'Save' }).click()
  await expect(redirects.getByLabel('Path')).toHaveCount(0)
  await expect.poll(async () => (await platform.visit(host, '/old/x')).status).toBe(404)
  expect(errors).toEqual([])
})

test('a link with a token is made, shown once, and is the way in', async ({ page, browser }) => {
  await signIn(page, platform)
  await page.goto(`${platform.url}/site/rules`)
  const protection = page.getByRole('region', { name: 'Protection' })
  await protection.getByLabel('Who may see it').selectOption({ label: 'Who has a link with a token' })
  await protection.getByRole('button', { name: 'Save' }).click()
  const link = (await protection.locator('code').textContent()) ?? ''
  expect(link).toContain('switchyard_token=')
  expect((await platform.visit(host)).status).toBe(401)
  const visitor = await browser.newPage()
  await visitor.goto(link)
  await expect(visitor.getByRole('heading', { name: 'home' })).toBeVisible()
  expect(visitor.url()).not.toContain('token')
  await visitor.close()
  await page.reload()
  await expect(protection.getByText(/^[0-9a-f]{12}…$/)).toBeVisible()
  await expect(protection.locator('code')).toHaveCount(0)
  await protection.getByLabel('Who may see it').selectOption({ label: 'Everyone' })
  await protection.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await platform.visit(host)).status).toBe(200)
})

test('maintenance closes the app with a message, and opens it again', async ({ page }) => {
  await signIn(page, platform)
  await page.goto(`${platform.url}/site/rules`)
  const maintenance = page.getByRole('region', { name: 'Maintenance' })
  await maintenance.getByLabel('Closed for maintenance').check()
  await maintenance.getByLabel('Message').fill('Back at ten.')
  await maintenance.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Maintenance saved: visitors get it now')).toBeVisible()
  const closed = await platform.visit(host)
  expect(closed.status).toBe(503)
  expect(closed.body).toContain('Back at ten.')
  await maintenance.getByLabel('Closed for maintenance').uncheck()
  await maintenance.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await platform.visit(host)).status).toBe(200)
})

test('stored rules that cannot be read close the project; the page says why, and a replacement opens it', async ({ page }) => {
  const errors = pageErrors(page)
  const database = await openPlatformDatabase(platform)
  try {
    await database.storeRules('site', '{"protection": {"kind": "passkey", "users": [{"name": "ann"}]}}')
    // A change of another project makes the control plane publish a new table.
    await api(platform, 'POST', '/projects', { name: 'neighbour' })
    await api(platform, 'PATCH', '/projects/neighbour/rules', { cleanUrls: true })
  } finally {
    await database.close()
  }
  await expect.poll(async () => (await platform.visit(host)).body).toMatch(/the site is closed until they are fixed/)
  await signIn(page, platform)
  await page.goto(`${platform.url}/site`)
  const problem = page.getByRole('alert').filter({ hasText: 'This site is closed to visitors' })
  await expect(problem).toContainText('protection')
  await expect(problem).toContainText(host)
  await expect(page.getByText('Closed', { exact: true })).toBeVisible()
  await problem.getByRole('link', { name: 'View rules' }).click()
  await expect(page.getByRole('region', { name: 'Maintenance' })).toBeVisible()
  await api(platform, 'PATCH', '/projects/site/rules', { protection: null, allowedAddresses: [], maintenance: null })
  await expect(problem).toHaveCount(0)
  await expect.poll(async () => (await platform.visit(host)).status).toBe(200)
  expect(errors).toEqual([])
})
