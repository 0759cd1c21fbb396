import { expect, type Page, test } from '@playwright/test'
import { api, deployByCli, folder } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { openPlatformDatabase, type PlatformDatabase } from '@/test/support/platform-database'
import { attachOutputs } from './support/outputs'
import { pageErrors, signIn } from './support/sign-in'

test.use({ actionTimeout: 30_000 })

let platform: RunningPlatform
let database: PlatformDatabase
let source: Awaited<ReturnType<typeof folder>>

test.beforeAll(async () => {
  platform = await startPlatform({ runtime: 'process' })
  database = await openPlatformDatabase(platform)
  source = await folder({ 'index.html': '<h1>home</h1>' })
  const deployed = await deployByCli(platform, source.directory, 'site')
  expect(deployed.code, deployed.stderr).toBe(0)
  expect((await api(platform, 'POST', '/projects/site/domains', { hostname: 'www.site.example' })).status).toBe(201)
  expect((await api(platform, 'PATCH', '/projects/site/rules', { redirects: [{ source: '/a', destination: '/b', status: 308 }] })).status).toBe(200)
  const provider = { name: 'Company DNS', credentials: { kind: 'cloudflare', apiToken: 'a-token-of-a-test' } }
  expect((await api(platform, 'POST', '/dns-providers', provider)).status).toBe(201)
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await database?.close()
  await platform?.stop()
  await source?.remove()
})

/** Pages that write, with what they write with. */
const writing: Record<string, (page: Page) => ReturnType<Page['getByRole']>[]> = {
  '/': (page) => [page.getByRole('button', { name: 'New project' }).or(page.getByRole('link', { name: 'New project' }))],
  '/new': (page) => [page.getByLabel('Git URL')],
  '/certificates': (page) => [page.getByRole('button', { name: 'Upload certificate' })],
  '/settings': (page) =>
    ['Create key', 'Add provider', 'Replace credentials of Company DNS', 'Remove Company DNS'].map((name) => page.getByRole('button', { name })),
  '/site/domains': (page) => [page.getByRole('button', { name: 'Add domain' })],
  '/site/domains/www.site.example': (page) => [
    page.getByRole('button', { name: 'Upload certificate' }),
    page.getByLabel('Redirect to', { exact: true }),
    page.getByRole('button', { name: 'Remove domain' }),
  ],
  '/site/rules': (page) => [
    page.getByRole('button', { name: 'Remove redirects 1' }),
    page.getByLabel('Who may see it'),
    page.getByLabel('Closed for maintenance'),
    ...['Redirects', 'Rewrites', 'Response headers', 'Rate limits'].map((name) =>
      page.getByRole('region', { name }).getByRole('button', { name: 'Add' }),
    ),
  ],
  '/site/variables': (page) => [page.getByLabel('Name')],
  '/site/environments': (page) => [page.getByRole('button', { name: 'New environment' }), page.getByLabel('Automatic deploys')],
  '/site/settings/webhooks': (page) => [page.getByRole('button', { name: 'Add webhook' })],
  '/site/settings': (page) => [page.getByLabel('Git repository'), page.getByRole('button', { name: 'Delete project' })],
}

test('a member looks at everything, is offered no change the server would refuse, and is told why', async ({ page }) => {
  const errors = pageErrors(page)
  const refused: string[] = []
  page.on('response', (response) => response.status() === 403 && refused.push(response.url()))
  await signIn(page, { ...platform, ...(await database.addPerson('member')) })
  for (const [route, controls] of Object.entries(writing)) {
    await page.goto(platform.url + route)
    for (const control of controls(page)) await expect(control, `${route} ${control}`).toBeDisabled()
  }
  // One that is pressed all the same says why, and asks nobody.
  await page.goto(`${platform.url}/site/domains`)
  await page.getByRole('button', { name: 'Add domain' }).click({ force: true })
  await expect(page.getByText('Only admins and owners of the team can do this, and you are a member.')).toBeVisible()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  for (const route of ['/site/rules', '/site/variables', '/site/settings', '/site/domains/www.site.example', '/new']) {
    await page.goto(platform.url + route)
    await expect(page.getByRole('note')).toContainText('You can view this, but not change it.')
  }
  expect(refused).toEqual([])
  expect(errors).toEqual([])
})

test('what a member may do, they do: purge, check a domain again, deploy', async ({ page }) => {
  await signIn(page, { ...platform, ...(await database.addPerson('member')) })
  await page.goto(`${platform.url}/site/settings`)
  await page.getByRole('button', { name: 'Purge everything' }).click()
  await expect(page.getByText(/No cached response matched|cached responses? removed/)).toBeVisible()
  await page.goto(`${platform.url}/site/domains/www.site.example`)
  // An examination asks name servers that may not answer, each with a deadline of its own.
  const checked = page.waitForResponse((response) => response.url().includes('domains.check'), { timeout: 90_000 })
  await page.getByRole('button', { name: 'Check again' }).click()
  expect((await checked).status()).toBe(200)
  await page.goto(`${platform.url}/site`)
  await page.getByRole('button', { name: 'Redeploy' }).click()
  await expect(page).toHaveURL(/\/site\/deployments\/\w+$/)
})

for (const role of ['admin', 'owner'] as const)
  test(`an ${role} is offered every change`, async ({ page }) => {
    await signIn(page, { ...platform, ...(await database.addPerson(role)) })
    for (const [route, controls] of Object.entries(writing)) {
      await page.goto(platform.url + route)
      for (const control of controls(page)) await expect(control, `${route} ${control}`).toBeEnabled()
      await expect(page.getByRole('note')).toHaveCount(0)
    }
  })
