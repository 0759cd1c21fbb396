import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from '@playwright/test'
import { watchableApp } from '../e2e/support/apps'
import { type DomainPlatform, startDomainPlatform } from '../e2e/support/domain-platform'
import { signIn } from '../e2e/support/sign-in'
import playwright from '../playwright.config'
import { type GitServer, startGitServer } from '../test/support/git-server'
import { api, deploymentThat } from '../test/support/journey'
import { type RunningPlatform, startPlatform } from '../test/support/platform'
import { until } from '../test/support/processes'

/** Photographs every page of the built platform, with real projects on it: npx tsx scripts/screenshots.ts */

const root = fileURLToPath(new URL('..', import.meta.url))
const target = path.join(root, 'docs/screenshots')
const sizes = [
  { name: '1440', viewport: { width: 1440, height: 900 } },
  { name: '390', viewport: { width: 390, height: 844 } },
]

interface Scene {
  name: string
  route: string
  /** Brings the page into the state to show. */
  prepare?: (page: Page) => Promise<void>
}

async function deploy(platform: RunningPlatform, projectId: string): Promise<string> {
  const { body } = await api<{ deploymentId: string }>(platform, 'POST', '/deployments', { projectId, triggeredBy: 'user' })
  return body.deploymentId
}
const ended = (platform: RunningPlatform, id: string) =>
  deploymentThat(platform, id, 'has ended', ({ status }) => !['PENDING', 'BUILDING', 'DEPLOYING'].includes(status))

async function project(platform: RunningPlatform, git: GitServer, name: string, files: Record<string, string>): Promise<string> {
  const slug = name.toLowerCase().replaceAll(' ', '-')
  const { url } = await git.createRepo(slug, files)
  return (await api<{ projectId: string }>(platform, 'POST', '/projects', { name, repository: url })).body.projectId
}

/** Three projects: one with a history and a failed attempt, one that is building, one nobody has deployed. */
async function furnish(platform: RunningPlatform, git: GitServer) {
  const shop = await project(platform, git, 'Storefront', watchableApp('1'))
  for (const [key, scope] of [
    ['DATABASE_URL', 'runtime'],
    ['PUBLIC_API_ORIGIN', 'build'],
    ['GREETING', 'both'],
  ])
    await api(platform, 'PUT', `/projects/${shop}/variables/${key}`, { key, value: 'kept to itself', scope })
  await ended(platform, await deploy(platform, shop))
  await git.commit('storefront', { 'VERSION.txt': '2' }, { message: 'Show the delivery date at checkout' })
  const live = await deploy(platform, shop)
  await ended(platform, live)
  await git.commit(
    'storefront',
    { 'build.js': "console.error('app/cart.js:14: totals is not defined')\nprocess.exit(1)" },
    { message: 'Move the cart to the server' },
  )
  const failed = await deploy(platform, shop)
  await ended(platform, failed)
  await project(platform, git, 'Payments API', watchableApp('1'))
  const docs = await project(platform, git, 'Handbook', {
    ...watchableApp('1'),
    'build.js': "let n = 0; setInterval(() => console.log('\\u001b[36mpage\\u001b[0m ' + ++n + ' of the handbook rendered'), 200)",
  })
  const running = await deploy(platform, docs)
  await deploymentThat(platform, running, 'builds', ({ steps }) => steps.some(({ name, status }) => name === 'build' && status === 'running'))
  return { live, failed, running }
}

const zone = 'storefront.example'

/** A domain in order with its certificate, its www, and one whose records are wrong. */
async function addDomains({ platform, dns }: DomainPlatform): Promise<void> {
  dns.set(zone, { A: ['127.0.0.1'], NS: [`ns1.${zone}`] })
  dns.set(`www.${zone}`, { A: ['127.0.0.1'] })
  dns.set(`shop.${zone}`, { A: ['203.0.113.9'], AAAA: ['2001:db8::9'], CAA: ['0 issue "ca.example.net"'] })
  const add = (hostname: string, more: object = {}) => api(platform, 'POST', '/projects/storefront/domains', { hostname, ...more })
  await add(zone)
  await add(`www.${zone}`, { redirectTo: zone })
  await add(`shop.${zone}`)
  for (const name of [zone, `www.${zone}`])
    await until(`${name} is served over HTTPS`, 90_000, async () =>
      (await api<{ url: string }>(platform, 'GET', `/domains/${name}`)).body.url.startsWith('https:'),
    )
}

function scenes(platform: RunningPlatform, git: GitServer, ids: { live: string; failed: string; running: string }): Scene[] {
  const inspect = async (page: Page) => {
    await page.getByLabel('Git URL').fill(git.repositoryUrl('payments-api'))
    await page.getByRole('button', { name: 'Inspect repository' }).click()
    await page.getByRole('heading', { name: /Detected/ }).waitFor()
  }
  const openLog = async (page: Page) => {
    await page.getByRole('button', { name: 'Logs' }).first().click()
    await page.getByRole('dialog').getByText('listens').waitFor()
  }
  const typeDomain = async (page: Page) => {
    await page.getByRole('button', { name: 'Add domain' }).click()
    await page.getByRole('dialog').getByLabel('Domain', { exact: true }).fill('acorn-books.example')
    await page.getByRole('dialog').getByRole('table').waitFor()
  }
  return [
    { name: 'projects', route: '/' },
    { name: 'new-project', route: '/new' },
    { name: 'new-project-inspected', route: '/new', prepare: inspect },
    { name: 'deployments', route: '/deployments' },
    { name: 'settings', route: '/settings' },
    { name: 'project', route: '/storefront' },
    { name: 'project-not-deployed', route: '/payments-api' },
    { name: 'project-deployments', route: '/storefront/deployments' },
    { name: 'deployment-live', route: `/storefront/deployments/${ids.live}` },
    { name: 'deployment-failed', route: `/storefront/deployments/${ids.failed}` },
    { name: 'deployment-building', route: `/handbook/deployments/${ids.running}` },
    { name: 'instances', route: '/storefront/instances' },
    { name: 'instance-log', route: '/storefront/instances', prepare: openLog },
    { name: 'variables', route: '/storefront/variables' },
    { name: 'domains', route: '/storefront/domains' },
    { name: 'domain-add', route: '/storefront/domains', prepare: typeDomain },
    { name: 'domain-wrong', route: `/storefront/domains/shop.${zone}` },
    { name: 'domain-active', route: `/storefront/domains/${zone}` },
    { name: 'project-settings', route: '/storefront/settings' },
    { name: 'not-found', route: `/nothing-here` },
  ].map((scene) => ({ ...scene, route: platform.url + scene.route }))
}

async function photograph(page: Page, name: string): Promise<void> {
  await page.waitForLoadState('load')
  await page.evaluate(() => document.fonts.ready)
  // The log scrolls to its end in the frame after its lines have come.
  await page.waitForTimeout(500)
  await page.screenshot({ path: path.join(target, `${name}.png`), fullPage: name.startsWith('instance-log') === false, animations: 'disabled' })
}

async function main(): Promise<void> {
  const repositories = await mkdtemp(path.join(tmpdir(), 'sy-shots-git-'))
  const git = await startGitServer({ root: repositories })
  await mkdir(target, { recursive: true })
  const browser = await chromium.launch(playwright.use?.launchOptions)
  const withoutAccount = { SWITCHYARD_BOOTSTRAP_EMAIL: '', SWITCHYARD_BOOTSTRAP_PASSWORD: '', SWITCHYARD_BOOTSTRAP_API_KEY: '' }
  let platform = await startPlatform({ runtime: 'process', env: withoutAccount })
  let closing = [() => platform.stop()]
  const everyLook = async (shoot: (page: Page, look: string) => Promise<void>) => {
    for (const { name, viewport } of sizes)
      for (const colorScheme of ['light', 'dark'] as const) {
        const context = await browser.newContext({ viewport, colorScheme })
        await shoot(await context.newPage(), `${name}-${colorScheme}`)
        await context.close()
      }
  }
  try {
    await everyLook(async (page, look) => {
      await page.goto(`${platform.url}/setup`)
      await photograph(page, `setup-${look}`)
    })
    await platform.stop()
    closing = []
    const world = await startDomainPlatform()
    platform = world.platform
    closing.push(() => world.stop())
    await everyLook(async (page, look) => {
      await page.goto(`${platform.url}/login`)
      await photograph(page, `login-${look}`)
      await signIn(page, platform)
      await photograph(page, `projects-empty-${look}`)
    })
    const ids = await furnish(platform, git)
    await addDomains(world)
    const shown = scenes(platform, git, ids)
    await everyLook(async (page, look) => {
      await signIn(page, platform)
      for (const scene of shown) {
        await page.goto(scene.route)
        await scene.prepare?.(page)
        await photograph(page, `${scene.name}-${look}`)
      }
    })
  } finally {
    await browser.close()
    for (const close of closing) await close()
    await git.close()
    await rm(repositories, { recursive: true, force: true })
  }
}

await main()
