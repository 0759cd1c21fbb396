import { test as base, expect } from '@playwright/test'
import { type DnsEntry, startTestDns, type TestDns } from '@/test/support/dns'
import { deployByCli, folder, tinyServer } from '@/test/support/journey'
import { type Pebble, startPebble } from '@/test/support/pebble'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
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

let dns: TestDns
let pebble: Pebble
let platform: RunningPlatform

test.beforeAll(async () => {
  dns = await startTestDns({ [zone]: { NS: [`ns1.${zone}`] } })
  platform = await startPlatform({
    runtime: 'process',
    async env(ports) {
      pebble = await startPebble({ httpPort: ports.http, tlsPort: ports.https })
      return {
        DNS_SERVERS: dns.address,
        EDGE_PUBLIC_ADDRESSES: '127.0.0.1',
        EDGE_PUBLIC_HTTP_PORT: String(ports.http),
        EDGE_PUBLIC_HTTPS_PORT: String(ports.https),
        ACME_DIRECTORY: pebble.directory,
        ACME_STAGING_DIRECTORY: 'off',
        ACME_CA_FILE: pebble.caFile,
        EDGE_WORKERS: '2',
      }
    },
  })
})
test.afterEach(async ({ page: _ }, info) => {
  if (info.status === info.expectedStatus) return
  await info.attach('output of the platform', { body: platform.output(), contentType: 'text/plain' })
  await info.attach('output of pebble', { body: pebble?.output() ?? '', contentType: 'text/plain' })
})
test.afterAll(async () => {
  await platform?.stop()
  await pebble?.stop()
  await dns?.close()
})

test('a domain is added, what is wrong is shown, DNS is put right, the certificate arrives, the app opens over HTTPS', async ({ page }) => {
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

  const alert = page.getByRole('alert').filter({ hasText: 'does not lead here yet' })
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
