import { test as base, expect } from '@playwright/test'
import type { DnsEntry } from '@/test/support/dns'
import { api, cli, deployByCli, folder, tinyServer } from '@/test/support/journey'
import { type DomainPlatform, startDomainPlatform } from './support/domain-platform'
import { pageErrors, signIn } from './support/sign-in'

/** A custom domain from its first wrong record to HTTPS: test DNS, test CA, real router, real browser. */

const zone = 'acorn-books.test'
const www = `www.${zone}`

// The browser's own resolver knows nothing of our zone.
const test = base.extend<object, { launchOptions: { args?: string[] } }>({
  launchOptions: [
    async ({ launchOptions }, use) => {
      await use({ ...launchOptions, args: [...(launchOptions.args ?? []), `--host-resolver-rules=MAP ${zone} 127.0.0.1,MAP *.${zone} 127.0.0.1`] })
    },
    { scope: 'worker' },
  ],
})
// The test CA's root is nobody's root.
test.use({ actionTimeout: 30_000, ignoreHTTPSErrors: true })

let world: DomainPlatform

test.beforeAll(async () => {
  world = await startDomainPlatform()
  world.dns.set(zone, { NS: [`ns1.${zone}`] })
})
test.afterEach(async ({ page: _ }, info) => {
  if (info.status === info.expectedStatus) return
  await info.attach('output of the platform', { body: world.platform.output(), contentType: 'text/plain' })
  await info.attach('output of pebble', { body: world.pebble.output(), contentType: 'text/plain' })
})
test.afterAll(() => world?.stop())

test('a domain is added, what is wrong is shown, DNS is put right, the certificate arrives, the app opens over HTTPS', async ({ page }) => {
  const { platform, dns, pebble } = world
  const errors = pageErrors(page)
  const app = await folder(tinyServer('one'))
  const { result, stderr } = await deployByCli(platform, app.directory, 'books')
  expect(result.status, stderr).toBe('ACTIVE')
  await signIn(page, platform)
  await page.goto(`${platform.url}/books`)
  await page.getByRole('link', { name: 'Domains' }).click()
  await expect(page.getByRole('heading', { name: 'No domain yet' })).toBeVisible()

  await test.step('the records to set are shown before it is added', async () => {
    await page.getByRole('button', { name: 'Add domain' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Domain', { exact: true }).fill('localhost')
    await dialog.getByRole('button', { name: 'Add domain' }).click()
    await expect(dialog.getByRole('alert')).toContainText('single label')
    await dialog.getByLabel('Domain', { exact: true }).fill(`https://${www}/`)
    await expect(dialog.getByRole('table', { name: 'Records to set' })).toContainText('127.0.0.1')
    await dialog.getByLabel(`Also add ${zone} and redirect it here`).uncheck()
    await dialog.getByRole('button', { name: 'Add domain' }).click()
  })

  const alert = page.getByRole('alert').filter({ hasText: 'does not point to this server yet' })
  const check = async (entry: DnsEntry) => {
    dns.set(www, entry)
    await page.getByRole('button', { name: 'Check again' }).click()
  }
  await test.step('what is wrong is named, with its remedy and the next check', async () => {
    await expect(page.getByRole('heading', { name: www })).toBeVisible()
    await expect(alert).toContainText('no A or AAAA record')
    await expect(page.getByRole('listitem', { name: 'Address records: Failed' })).toBeVisible()
    await expect(page.getByText(/next check in \d+ s/)).toBeVisible()
    await check({ A: ['203.0.113.9'] })
    await expect(alert).toContainText('203.0.113.9, which is not this server')
    await check({ A: ['127.0.0.1'], AAAA: ['2001:db8::1'] })
    await expect(page.getByRole('listitem', { name: 'Address records: Passed' })).toBeVisible()
    await expect(page.getByRole('listitem', { name: 'IPv6: Failed' })).toContainText('2001:db8::1')
    expect((await platform.visit(www)).status).toBe(404)
    expect(pebble.ordersAsked()).toBe(0)
  })

  await test.step('put right, it is verified and the certificate arrives by itself', async () => {
    // Nothing is pressed: while the page is open the next check is soon.
    dns.set(www, { A: ['127.0.0.1'] })
    await expect(page.getByRole('listitem', { name: 'IPv6: Passed' })).toBeVisible({ timeout: 30_000 })
    await expect(page.getByText('Verified', { exact: true })).toBeVisible({ timeout: 60_000 })
    await expect(alert).toBeHidden()
    await expect(page.getByText('Active', { exact: true })).toBeVisible({ timeout: 60_000 })
    await expect(page.getByRole('listitem', { name: /: Failed/ })).toHaveCount(0)
  })

  await test.step('the app opens over HTTPS, and HTTP leads there', async () => {
    const secure = `https://${www}:${platform.edgeHttpsPort}/`
    await expect(page.getByRole('link', { name: 'Open' })).toHaveAttribute('href', secure.replace(/\/$/, ''))
    const visitor = await page.context().newPage()
    const answer = await visitor.goto(`http://${www}:${platform.edgePort}/shelf?page=2`)
    expect(visitor.url()).toBe(`${secure}shelf?page=2`)
    expect(answer?.request().redirectedFrom()).not.toBeNull()
    expect(await answer?.headerValue('strict-transport-security')).toContain('max-age=31536000')
    expect((await answer?.securityDetails())?.subjectName ?? www).toContain(www)
    expect((await answer?.securityDetails())?.issuer).toContain('Pebble')
    await expect(visitor.getByText('version one')).toBeVisible()
    await visitor.close()
  })

  await test.step('what browsers remember is changed on the page, which sends nothing else', async () => {
    await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled()
    await page.getByLabel('Browsers remember HTTPS for').selectOption('A day')
    const sent = page.waitForRequest((request) => request.url().includes('domains.update'))
    await page.getByRole('button', { name: 'Save' }).click()
    expect((await sent).postData()).toMatch(/^\{"0":\{"json":\{"domain":"[^"]+","hstsSeconds":86400\}\}\}$/)
    await expect(page.getByText(`${www} saved`)).toBeVisible()
    await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled()
    const visitor = await page.context().newPage()
    const told = async () => (await visitor.goto(`https://${www}:${platform.edgeHttpsPort}/`))?.headerValue('strict-transport-security')
    await expect.poll(told).toContain('max-age=86400')
    await visitor.close()
  })

  await test.step('removed, it is served no longer', async () => {
    await page.getByRole('button', { name: 'Remove domain' }).click()
    const dialog = page.getByRole('dialog')
    await expect(dialog.getByRole('button', { name: 'Remove domain' })).toBeDisabled()
    await dialog.getByLabel(`Type “${www}” to confirm`).fill(www)
    await dialog.getByRole('button', { name: 'Remove domain' }).click()
    await expect(page.getByRole('heading', { name: 'No domain yet' })).toBeVisible()
    expect((await platform.visit(www)).status).toBe(404)
  })
  expect(errors).toEqual([])
})

test('an apex brings its www along, which redirects to it; the command line waits for both', async ({ page }) => {
  const { platform, dns } = world
  const apex = `second-${zone}`
  const app = await folder(tinyServer('two'))
  expect((await deployByCli(platform, app.directory, 'second')).result.status).toBe('ACTIVE')
  for (const name of [apex, `www.${apex}`]) dns.set(name, { A: ['127.0.0.1'] })
  await signIn(page, platform)
  await page.goto(`${platform.url}/second/domains`)
  await page.getByRole('button', { name: 'Add domain' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Domain', { exact: true }).fill(apex)
  await expect(dialog.getByLabel(`Also add www.${apex} and redirect it here`)).toBeChecked()
  await dialog.getByRole('button', { name: 'Add domain' }).click()
  await expect(page.getByRole('heading', { name: apex, exact: true })).toBeVisible()
  const access = ['--api', platform.url, '--token', platform.apiKey]
  for (const name of [apex, `www.${apex}`]) {
    const waited = await cli(['domains', 'check', name, '--wait', '--timeout', '90', ...access])
    expect(waited.code, waited.stderr).toBe(0)
    expect(waited.stdout).toContain('Verified')
  }
  const listed = await cli(['domains', '--project', 'second', ...access])
  expect(listed.stdout).toContain(`→ ${apex}`)
  const secure = `https://${apex}:${platform.edgeHttpsPort}`
  await expect.poll(async () => (await api<{ url: string }>(platform, 'GET', `/domains/${apex}`)).body.url).toBe(secure)
  const answer = await platform.visit(`www.${apex}`, '/shelf?page=2')
  expect([answer.status, answer.headers.location]).toEqual([308, `${secure}/shelf?page=2`])
  const removed = await cli(['domains', 'rm', `www.${apex}`, ...access])
  expect(removed.code, removed.stderr).toBe(0)
  expect((await platform.visit(`www.${apex}`)).status).toBe(404)
})

test('of thirty domains the first come at once, the others when asked for, and each is found by a part of its name', async ({ page }) => {
  const { platform } = world
  await api(platform, 'POST', '/projects', { name: 'agency' })
  for (let i = 10; i < 40; i++)
    expect((await api(platform, 'POST', '/projects/agency/domains', { hostname: `client-${i}.${zone}` })).status).toBe(201)
  await signIn(page, platform)
  await page.goto(`${platform.url}/agency/domains`)
  const last = page.getByRole('link', { name: `client-39.${zone}` })
  await expect(page.getByText('The first 25, by name')).toBeVisible()
  await expect(last).toHaveCount(0)
  await page.getByRole('button', { name: 'Load more' }).click()
  await expect(page.getByText('30 domains')).toBeVisible()
  await expect(last).toBeVisible()
  await expect(page.getByRole('button', { name: 'Load more' })).toHaveCount(0)
  await page.getByRole('searchbox').fill('CLIENT-2')
  await expect(page.getByText('10 domains')).toBeVisible()
  await page.getByRole('searchbox').fill('nobody')
  await expect(page.getByText('No domain matches “nobody”.')).toBeVisible()
  const listed = await cli([
    'domains',
    '--project',
    'agency',
    '--search',
    'client-3',
    '--limit',
    '3',
    '--json',
    '--api',
    platform.url,
    '--token',
    platform.apiKey,
  ])
  expect((JSON.parse(listed.stdout) as { items: { hostname: string }[] }).items.map(({ hostname }) => hostname)).toEqual(
    [30, 31, 32].map((i) => `client-${i}.${zone}`),
  )
})
