import { expect, type Page, test } from '@playwright/test'
import { deployByCli, folder } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { attachOutputs } from './support/outputs'
import { pageErrors, signIn } from './support/sign-in'

test.use({ actionTimeout: 30_000 })

let platform: RunningPlatform
let source: Awaited<ReturnType<typeof folder>>
const host = 'news.localhost'
const workers = 2

/** Says how often it was asked, and lets routers keep that for an hour. */
const app = {
  'package.json': JSON.stringify({ name: 'news', version: '1.0.0', private: true, scripts: { start: 'node server.js' } }),
  'server.js': `
const http = require('node:http')
let asked = 0
http.createServer((req, res) => {
  res.setHeader('Cache-Control', 's-maxage=3600')
  if (req.url === '/posts') res.setHeader('Cache-Tag', 'posts')
  res.end('asked ' + ++asked)
}).listen(process.env.PORT, process.env.HOST)
`,
}

test.beforeAll(async () => {
  platform = await startPlatform({ runtime: 'process', env: { EDGE_WORKERS: String(workers) } })
  source = await folder(app)
  const deployed = await deployByCli(platform, source.directory, 'news')
  expect(deployed.code, deployed.stderr).toBe(0)
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await platform?.stop()
  await source?.remove()
})

/** What each worker keeps of an address: visits go to one or the other. */
async function kept(pathname: string): Promise<Set<string>> {
  const bodies = new Set<string>()
  await expect
    .poll(async () => {
      bodies.add((await platform.visit(host, pathname)).body)
      return bodies.size
    })
    .toBe(workers)
  for (let i = 0; i < 10; i++) {
    const { body, headers } = await platform.visit(host, pathname)
    expect(bodies).toContain(body)
    expect(headers['cache-status']).toContain('switchyard; hit')
  }
  return bodies
}

async function openCacheCard(page: Page): Promise<void> {
  await signIn(page, platform)
  await page.goto(`${platform.url}/news/settings`)
  await expect(page.getByRole('heading', { name: 'Cache', exact: true })).toBeVisible()
}

test('what was purged is fetched anew from the app, once for each router', async ({ page }) => {
  const errors = pageErrors(page)
  const before = await kept('/')
  await openCacheCard(page)
  await page.getByRole('button', { name: 'Purge everything' }).click()
  await expect(page.getByText('2 cached responses removed')).toBeVisible()
  for (const body of await kept('/')) expect(before).not.toContain(body)
  expect(errors).toEqual([])
})

test('a tag and a path take theirs alone, and it is said when nothing was kept', async ({ page }) => {
  const [posts, about, team] = [await kept('/posts'), await kept('/about'), await kept('/about/team')]
  await openCacheCard(page)
  await page.getByLabel('Tags').fill('posts')
  await page.getByLabel('Paths').fill('/about/*')
  await page.getByRole('button', { name: 'Purge', exact: true }).click()
  await expect(page.getByText('4 cached responses removed')).toBeVisible()
  expect(await kept('/about')).toEqual(about)
  for (const body of await kept('/posts')) expect(posts).not.toContain(body)
  for (const body of await kept('/about/team')) expect(team).not.toContain(body)
  await page.getByLabel('Tags').fill('nobody-sent-this')
  await page.getByRole('button', { name: 'Purge', exact: true }).click()
  await expect(page.getByText('No cached response matched')).toBeVisible()
})
