import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import type { RequestView, TrafficSeries } from '@/shared/traffic'
import { type GitServer, startGitServer } from '@/test/support/git-server'
import { api, deploymentThat } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { attachOutputs } from './support/outputs'
import { pageErrors, signIn } from './support/sign-in'

test.use({ actionTimeout: 30_000 })

let platform: RunningPlatform
let git: GitServer
let repositories: string
let host: string

/** Answers with the status its path names. */
const app = {
  'package.json': JSON.stringify({ name: 'shop', version: '1.0.0', private: true, scripts: { start: 'node server.js' } }),
  'server.js': `
const http = require('node:http')
http.createServer((req, res) => {
  res.statusCode = Number(/^\\/(\\d{3})\\b/.exec(req.url)?.[1] ?? 200)
  res.end('hello from ' + req.url)
}).listen(process.env.PORT, process.env.HOST)
`,
}

test.beforeAll(async () => {
  repositories = await mkdtemp(path.join(tmpdir(), 'sy-e2e-git-'))
  git = await startGitServer({ root: repositories })
  platform = await startPlatform({ runtime: 'process' })
  const { url } = await git.createRepo('shop', app)
  const project = await api<{ projectId: string }>(platform, 'POST', '/projects', { name: 'shop', repository: url })
  const created = await api<{ deploymentId: string }>(platform, 'POST', '/deployments', { projectId: project.body.projectId })
  const live = await deploymentThat(platform, created.body.deploymentId, 'is live', (deployment) => deployment.status === 'ACTIVE')
  host = new URL(live.url ?? '').hostname
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await platform?.stop()
  await git?.close()
  await rm(repositories, { recursive: true, force: true })
})

test('a visit appears while one looks, can be found, and tells what became of it', async ({ page }) => {
  const errors = pageErrors(page)
  await signIn(page, platform)
  await page.goto(`${platform.url}/shop`)
  await page.getByRole('link', { name: 'Traffic' }).click()
  await expect(page.getByRole('heading', { name: 'Traffic' })).toBeVisible()
  await expect(page.getByText('Live', { exact: true })).toBeVisible()
  for (const target of ['/cart?item=1', '/404/no-such-page', '/500/broken']) await platform.visit(host, target)
  const rows = page.getByRole('row')
  await expect(rows.filter({ hasText: '/cart?item=1' })).toContainText('200')
  await expect(rows.filter({ hasText: '/500/broken' })).toContainText('500')

  await page.getByLabel('Status').selectOption('4xx')
  await expect(rows.filter({ hasText: '/404/no-such-page' })).toHaveCount(1)
  await expect(rows.filter({ hasText: '/cart' })).toHaveCount(0)
  await page.getByLabel('Status').selectOption('')
  await page.getByRole('searchbox').fill('cart')
  await expect(rows.filter({ hasText: '/404/no-such-page' })).toHaveCount(0)
  await rows.filter({ hasText: '/cart?item=1' }).getByRole('button').click()
  const detail = page.getByRole('dialog')
  await expect(detail.getByText(`http://${host}:${platform.edgePort}/cart?item=1`)).toBeVisible()
  await expect(detail.getByText('127.0.0.1')).toBeVisible()
  const { body } = await api<{ items: RequestView[] }>(platform, 'GET', '/projects/shop/requests?path=cart')
  await expect(detail.getByText(body.items[0]?.requestId ?? 'no request', { exact: true })).toBeVisible()
  await page.keyboard.press('Escape')
  await page.getByRole('searchbox').fill('')

  await page.getByRole('button', { name: 'Pause' }).click()
  await platform.visit(host, '/while-paused')
  await expect
    .poll(async () => (await api<{ items: unknown[] }>(platform, 'GET', '/projects/shop/requests?path=while-paused')).body.items.length)
    .toBe(1)
  await expect(rows.filter({ hasText: '/while-paused' })).toHaveCount(0)
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect(rows.filter({ hasText: '/while-paused' })).toHaveCount(1)
  await expect(rows.filter({ hasText: '/500/broken' })).toHaveCount(1)
  expect(errors).toEqual([])
})

test('what was counted is the same in the charts, by REST and for Prometheus', async ({ page }) => {
  // The test before made four visits; reports of the routers come one after the other.
  await expect
    .poll(
      async () => {
        const { requests, statuses } = (await api<TrafficSeries>(platform, 'GET', '/projects/shop/traffic')).body.total
        return [requests, ...statuses.slice(4)]
      },
      { timeout: 20_000 },
    )
    .toEqual([4, 1, 1])
  const { body } = await api<TrafficSeries>(platform, 'GET', '/projects/shop/traffic')
  const scrape = await fetch(`${platform.url}/api/v1/metrics`, { headers: { authorization: `Bearer ${platform.apiKey}` } })
  expect(scrape.headers.get('content-type')).toContain('text/plain')
  expect(await scrape.text()).toContain(`switchyard_http_requests_total{project="shop",host="${host}",status="5xx"} 1\n`)
  await signIn(page, platform)
  await page.goto(`${platform.url}/shop/traffic`)
  await expect(page.getByRole('definition').first()).toHaveText(String(body.total.requests))
  await expect(page.getByRole('slider', { name: 'Requests over time' })).toHaveAttribute('aria-valuetext', /5xx \d+/)
  await page.getByRole('radio', { name: 'Last 7 days' }).check()
  await expect(page.getByRole('definition').first()).toHaveText(String(body.total.requests))
})

test('the page fits a phone', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  await platform.visit(host, `/${'long/'.repeat(60)}`)
  await signIn(page, platform)
  await page.goto(`${platform.url}/shop/traffic`)
  await expect(page.getByRole('row').filter({ hasText: '/long/long' })).toBeVisible()
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
})
