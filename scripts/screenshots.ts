import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright'
import { startDomainPlatform } from '../e2e/support/domain-platform'
import { signIn } from '../e2e/support/sign-in'
import playwright from '../playwright.config'
import { type GitServer, startGitServer } from '../test/support/git-server'
import { type RunningPlatform, startPlatform } from '../test/support/platform'
import { openPlatformDatabase } from '../test/support/platform-database'
import { certificateOf, closedRules, furnish, overwriteRules, refusedName, type Showroom, zone } from './support/showroom'

/**
 * Photographs the pages of the built platform, with real projects on it: npx tsx scripts/screenshots.ts [--docs] [scene…].
 * Without names it takes every scene, as PNG into `screenshots/`, which Git ignores. `--docs` takes the pictures that the documentation
 * shows, as WebP into `docs/screenshots/`.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const forDocs = process.argv.includes('--docs')
const target = path.join(root, forDocs ? 'docs/screenshots' : 'screenshots')
/** Scenes that README and docs/ show. */
const documented = ['projects', 'deployment-live', 'domain-wrong', 'traffic']
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const wanted = forDocs && named.length === 0 ? documented : named
const isWanted = ({ name }: Scene) => wanted.length === 0 || wanted.includes(name)
const wide = { name: '1440', viewport: { width: 1440, height: 900 } }
const narrow = { name: '390', viewport: { width: 390, height: 844 } }
const sizes = forDocs ? [wide] : [wide, narrow]

interface Scene {
  name: string
  route: string
  /** Brings the page into the state to show. */
  prepare?: (page: Page) => Promise<void>
  /** What is seen at once, not the whole length of the page: for what lies over it. */
  window?: boolean
}

/** Before there is an account. */
const atTheDoor: Scene[] = [{ name: 'setup', route: '/setup' }]
/** Before there is a project. */
const emptyScenes: Scene[] = [
  { name: 'projects-empty', route: '/' },
  { name: 'certificates-empty', route: '/certificates' },
]

const byButton = (name: string, shown: (page: Page) => ReturnType<Page['locator']>) => async (page: Page) => {
  await page.getByRole('button', { name }).first().click()
  await shown(page).waitFor()
}

async function typeDomain(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Add domain' }).click()
  await page.getByRole('dialog').getByLabel('Domain', { exact: true }).fill('acorn-books.example')
  await page.getByRole('dialog').getByRole('table').waitFor()
}

/** A password for the project and a closed shop, both not saved yet. */
async function closeDoors(page: Page): Promise<void> {
  const protection = page.getByRole('region', { name: 'Protection' })
  await protection.getByLabel('Who may see it').selectOption({ label: 'Who has a name and a password' })
  await protection.getByLabel('Name').fill('reviewer')
  const maintenance = page.getByRole('region', { name: 'Maintenance' })
  await maintenance.getByLabel('Closed for maintenance').check()
  await maintenance.getByLabel('Message').fill('We are counting the shelves and will be back at ten.')
}

const charts = (page: Page) => page.getByRole('slider', { name: 'Requests over time' }).waitFor()

async function openRequest(page: Page): Promise<void> {
  await page.getByRole('searchbox').fill('/search')
  await page.getByRole('row').filter({ hasText: '/search?q=lamp' }).first().getByRole('button').click()
  await page.getByRole('dialog').getByText('Request id').waitFor()
}

function projectScenes(git: GitServer, ids: Showroom): Scene[] {
  const inspect = async (page: Page) => {
    await page.getByLabel('Git URL').fill(git.repositoryUrl('payments-api'))
    await page.getByRole('button', { name: 'Inspect repository' }).click()
    await page.getByRole('heading', { name: /Detected/ }).waitFor()
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
    {
      name: 'instance-log',
      route: '/storefront/instances',
      prepare: byButton('Logs', (page) => page.getByRole('dialog').getByText('listens')),
      window: true,
    },
    { name: 'variables', route: '/storefront/variables' },
    { name: 'project-settings', route: '/storefront/settings' },
    { name: 'not-found', route: '/nothing-here' },
  ]
}

async function edgeScenes(platform: RunningPlatform): Promise<Scene[]> {
  const certificate = async (hostname: string) => `/certificates/${(await certificateOf(platform, hostname))?.id}`
  return [
    { name: 'domains', route: '/storefront/domains' },
    { name: 'domains-empty', route: '/payments-api/domains' },
    { name: 'domain-add', route: '/storefront/domains', prepare: typeDomain },
    { name: 'domain-wrong', route: `/storefront/domains/shop.${zone}` },
    { name: 'domain-active', route: `/storefront/domains/${zone}` },
    { name: 'certificates', route: '/certificates' },
    { name: 'certificate-active', route: await certificate(zone) },
    { name: 'certificate-failed', route: await certificate(refusedName) },
    { name: 'certificate-uploaded', route: await certificate(`partners.${zone}`) },
    { name: 'certificate-upload', route: '/certificates', prepare: byButton('Upload certificate', (page) => page.getByRole('dialog')), window: true },
    { name: 'rules', route: '/storefront/rules' },
    { name: 'rules-empty', route: '/payments-api/rules' },
    { name: 'rules-closing', route: '/storefront/rules', prepare: closeDoors },
    { name: 'traffic', route: '/storefront/traffic', prepare: charts },
    { name: 'traffic-empty', route: '/payments-api/traffic' },
    { name: 'traffic-request', route: '/storefront/traffic', prepare: openRequest, window: true },
  ]
}

/** A project whose stored rules cannot be read. */
const closedScenes: Scene[] = [{ name: 'project-closed', route: '/storefront' }]
/** As somebody sees them who may look and not change. */
const memberScenes: Scene[] = [{ name: 'domain-member', route: `/storefront/domains/${zone}` }]

async function photograph(page: Page, name: string, scene: Scene): Promise<void> {
  await page.waitForLoadState('load')
  await page.evaluate(() => document.fonts.ready)
  // What lies fixed at the top of the window lies at the top of the page then.
  if (!scene.window) await page.evaluate(() => scrollTo(0, 0))
  // The log scrolls to its end in the frame after its lines have come.
  await page.waitForTimeout(500)
  const file = path.join(target, `${scene.name}-${name}`)
  if (forDocs) await writeFile(`${file}.webp`, await captureWebP(page))
  else await page.screenshot({ path: `${file}.png`, fullPage: scene.window !== true, animations: 'disabled' })
}

/** The visible part of the page. Playwright knows PNG and JPEG only, the DevTools protocol knows WebP. */
async function captureWebP(page: Page): Promise<Buffer> {
  const session = await page.context().newCDPSession(page)
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: 85 })
  return Buffer.from(data, 'base64')
}

async function main(): Promise<void> {
  const repositories = await mkdtemp(path.join(tmpdir(), 'sy-shots-git-'))
  const git = await startGitServer({ root: repositories })
  await mkdir(target, { recursive: true })
  const browser = await chromium.launch(playwright.use?.launchOptions)
  let closing: (() => Promise<unknown>)[] = []
  const everyLook = async (enter: (page: Page) => Promise<void>, scenes: Scene[], at: RunningPlatform) => {
    const shown = scenes.filter(isWanted)
    for (const { name, viewport } of shown.length > 0 ? sizes : [])
      for (const colorScheme of ['light', 'dark'] as const) {
        const context = await browser.newContext({ viewport, colorScheme })
        const page = await context.newPage()
        await enter(page)
        for (const scene of shown) {
          await page.goto(at.url + scene.route)
          await scene.prepare?.(page)
          await photograph(page, `${name}-${colorScheme}`, scene)
        }
        await context.close()
      }
  }
  const asVisitor = async () => {}
  try {
    const withoutAccount = { SWITCHYARD_BOOTSTRAP_EMAIL: '', SWITCHYARD_BOOTSTRAP_PASSWORD: '', SWITCHYARD_BOOTSTRAP_API_KEY: '' }
    const fresh = await startPlatform({ runtime: 'process', env: withoutAccount })
    closing = [() => fresh.stop()]
    await everyLook(asVisitor, atTheDoor, fresh)
    await fresh.stop()
    closing = []
    const world = await startDomainPlatform({ refused: [refusedName] })
    closing.push(() => world.stop())
    const { platform } = world
    const signedIn = (page: Page) => signIn(page, platform)
    await everyLook(asVisitor, [{ name: 'login', route: '/login' }], platform)
    await everyLook(signedIn, emptyScenes, platform)
    const ids = await furnish(world, git)
    await everyLook(signedIn, [...projectScenes(git, ids), ...(await edgeScenes(platform))], platform)
    const database = await openPlatformDatabase(platform)
    closing.unshift(() => database.close())
    const member = await database.addPerson('member')
    await everyLook((page) => signIn(page, { ...platform, ...member }), memberScenes, platform)
    await overwriteRules(platform, database, closedRules)
    await everyLook(signedIn, closedScenes, platform)
  } finally {
    await browser.close()
    for (const close of closing) await close()
    await git.close()
    await rm(repositories, { recursive: true, force: true })
  }
}

await main()
