import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { type GitServer, startGitServer } from '@/test/support/git-server'
import { api, deploymentThat } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { buildLines, watchableApp } from './support/apps'
import { startCuttableProxy } from './support/cuttable-proxy'
import { attachOutputs } from './support/outputs'
import { pageErrors, signIn } from './support/sign-in'

// One action that waits for the whole test would hide what it waits for.
test.use({ actionTimeout: 30_000 })

let platform: RunningPlatform
let git: GitServer
let repositories: string

test.beforeAll(async () => {
  repositories = await mkdtemp(path.join(tmpdir(), 'sy-e2e-git-'))
  git = await startGitServer({ root: repositories })
  platform = await startPlatform({ runtime: 'process' })
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await platform?.stop()
  await git?.close()
  await rm(repositories, { recursive: true, force: true })
})

/** A project with its repository, and no deployment yet. */
async function newProject(name: string, files: Record<string, string>): Promise<string> {
  const { url } = await git.createRepo(name, files)
  const { status, body } = await api<{ projectId: string }>(platform, 'POST', '/projects', { name, repository: url })
  expect(status).toBe(201)
  return body.projectId
}

test('a wrong password is refused, and signing in leads to the page that was asked for', async ({ page }) => {
  await page.goto(`${platform.url}/settings`)
  await expect(page).toHaveURL(/\/login\?next=%2Fsettings$/)
  await page.getByLabel('E-mail').fill(platform.email)
  await page.getByLabel('Password').fill('not this one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  const refusal = page.getByRole('alert').filter({ hasText: 'wrong' })
  await expect(refusal).toBeVisible()
  // The person can type again at once, and is told which fields are meant.
  await expect(page.getByLabel('Password')).toBeFocused()
  for (const field of ['E-mail', 'Password']) {
    await expect(page.getByLabel(field)).toHaveAttribute('aria-invalid', 'true')
    await expect(page.getByLabel(field)).toHaveAttribute('aria-describedby', (await refusal.getAttribute('id')) ?? 'no id')
  }
  await page.getByLabel('Password').fill(platform.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'Members' })).toBeVisible()
})

test('before the code of a page has loaded, its form cannot send a password in an address', async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${platform.url}/login`)
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeDisabled()
  await context.close()
})

test('after signing out no page is shown', async ({ page }) => {
  await signIn(page, platform)
  await page.getByRole('button', { name: 'Account menu' }).click()
  // A late answer to "who is signed in" must not bring the session back.
  const session = await page.request.get(`${platform.url}/api/auth/session`)
  expect(await session.json()).toHaveProperty('user')
  expect(session.headers()['set-cookie']).toBeUndefined()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible()
  await page.goto(`${platform.url}/deployments`)
  await expect(page).toHaveURL(/\/login/)
})

test('an API key is shown once and its revocation is final', async ({ page }) => {
  await signIn(page, platform)
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Create key' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill('journey key')
  await dialog.getByRole('button', { name: 'Create key' }).click()
  await expect(dialog.getByRole('heading', { name: 'Copy your key now' })).toBeVisible()
  const key = (await dialog.getByRole('code').innerText()).trim()
  const ask = () => fetch(`${platform.url}/api/v1/projects`, { headers: { authorization: `Bearer ${key}` } })
  expect((await ask()).status).toBe(200)
  await dialog.getByRole('button', { name: 'Done' }).click()
  await expect(page.getByText(key)).toBeHidden()
  await page.getByRole('button', { name: 'Revoke journey key' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke key' }).click()
  await expect(page.getByText('journey key was revoked')).toBeVisible()
  await expect(page.getByRole('dialog')).toBeHidden()
  await expect(page.getByRole('button', { name: 'Revoke journey key' })).toBeHidden()
  expect((await ask()).status).toBe(401)
})

test('a build that fails says why, at which step, and what to do next', async ({ page }) => {
  await newProject('broken', { ...watchableApp('broken'), 'build.js': "console.error('no such module: cart'); process.exit(3)" })
  await signIn(page, platform)
  await page.goto(`${platform.url}/broken`)
  await page.getByRole('button', { name: 'Deploy' }).click()
  const alert = page.getByRole('alert').filter({ hasText: 'This deployment failed' })
  await expect(alert).toBeVisible({ timeout: 60_000 })
  await expect(alert).toContainText('3')
  await expect(alert).toContainText('Next')
  await expect(page.getByRole('log')).toContainText('no such module: cart')
  await alert.getByRole('button', { name: 'Show in the log' }).click()
  await expect(page).toHaveURL(/#L\d+$/)
})

test('a running deployment can be canceled, and asks first', async ({ page }) => {
  await newProject('slow', { ...watchableApp('slow'), 'build.js': "console.log('begun'); setInterval(() => {}, 1000)" })
  await signIn(page, platform)
  await page.goto(`${platform.url}/slow`)
  await page.getByRole('button', { name: 'Deploy' }).click()
  await expect(page.getByRole('log')).toContainText('begun', { timeout: 60_000 })
  await expect(page).toHaveTitle(/^Building · /)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Cancel deployment' }).click()
  await expect(page.getByText('Canceled', { exact: true })).toBeVisible({ timeout: 30_000 })
})

test('the log goes on where it stopped after the connection was lost', async ({ page }) => {
  await newProject('resumed', watchableApp('resumed'))
  const network = await startCuttableProxy(Number(new URL(platform.url).port))
  try {
    await signIn(page, { ...platform, url: network.url })
    await page.goto(`${network.url}/resumed`)
    await page.getByRole('button', { name: 'Deploy' }).click()
    const log = page.getByRole('log')
    await expect(log).toContainText('build line 2 of', { timeout: 60_000 })
    expect(network.cut()).toBeGreaterThan(0)
    await expect(page.getByText('Reconnecting', { exact: true })).toBeVisible()
    network.heal()
    await expect(log).toContainText(`build line ${buildLines} of`, { timeout: 60_000 })
    for (let line = 1; line <= buildLines; line++) await expect(log.getByText(`build line ${line} of ${buildLines}`, { exact: true })).toHaveCount(1)
    await expect(page.getByRole('link', { name: 'Open app' })).toBeVisible({ timeout: 60_000 })
  } finally {
    await network.close()
  }
})

test('a second deployment meanwhile is refused with the reason', async ({ page }) => {
  const projectId = await newProject('busy', watchableApp('busy'))
  await signIn(page, platform)
  await page.goto(`${platform.url}/busy/deployments`)
  expect((await api(platform, 'POST', '/deployments', { projectId, triggeredBy: 'api' })).status).toBe(201)
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await expect(page.getByText(/is running for this environment/)).toBeVisible()
  // The list learned of the deployment by itself.
  await expect(page.getByRole('listitem').filter({ hasText: /Building|Deploying|Queued|Live/ })).toHaveCount(1)
})

test('a project is deleted only after its name was typed', async ({ page }) => {
  await newProject('doomed', watchableApp('doomed'))
  await signIn(page, platform)
  await page.goto(`${platform.url}/doomed/settings`)
  await page.getByRole('button', { name: 'Delete project' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('button', { name: 'Delete project' })).toBeDisabled()
  await dialog.getByRole('textbox').fill('doomed')
  await dialog.getByRole('button', { name: 'Delete project' }).click()
  await expect(page.getByRole('heading', { name: 'Projects' })).toBeVisible()
  await expect(page.getByRole('link', { name: 'doomed' })).toBeHidden()
})

test('an address of the dashboard without a page is answered with 404 under a title and a heading', async ({ page }) => {
  await newProject('known', watchableApp('known'))
  await signIn(page, platform)
  expect((await page.goto(`${platform.url}/known`))?.status()).toBe(200)
  for (const unknown of ['/team', '/known/deployments/nothing', '/known/domains/nothing.example.com', '/certificates/nothing', '/known/nothing']) {
    expect((await page.goto(`${platform.url}${unknown}`))?.status(), unknown).toBe(404)
    await expect(page.getByRole('heading', { level: 1, name: 'Page not found' })).toBeVisible()
    await expect(page, unknown).toHaveTitle(/Not found/)
  }
})

test('a page fetches no other page before a link is pointed at', async ({ page }) => {
  await newProject('calm', watchableApp('calm'))
  await signIn(page, platform)
  const ahead: string[] = []
  page.on('request', (request) => {
    if (request.headers()['next-router-prefetch'] !== undefined) ahead.push(request.url())
  })
  await page.goto(`${platform.url}/calm`)
  await expect(page.getByRole('link', { name: 'Instances' }).first()).toBeVisible()
  await page.waitForLoadState('networkidle')
  expect(ahead).toEqual([])
})

test('a rollback shows first what will change, pauses automatic deploys on every page, and a lock refuses deployments', async ({ page }) => {
  const errors = pageErrors(page)
  const projectId = await newProject('returned', watchableApp('first'))
  const deploy = async () => {
    const { body } = await api<{ deploymentId: string }>(platform, 'POST', '/deployments', { projectId })
    await deploymentThat(platform, body.deploymentId, 'is live', ({ status }) => status === 'ACTIVE')
    return body.deploymentId
  }
  const first = await deploy()
  await api(platform, 'PUT', '/projects/returned/variables/GREETING', { value: 'a-secret-greeting' })
  await git.commit('returned', watchableApp('second'), { message: 'Second version' })
  await deploy()
  await signIn(page, platform)
  await page.goto(`${platform.url}/returned/deployments`)
  await page.getByRole('button', { name: `Actions for ${first}` }).click()
  await page.getByRole('menuitem', { name: 'Roll back to this version' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('Second version')
  await expect(dialog).toContainText('First commit')
  await expect(dialog).toContainText('Automatic deploys of Production pause')
  await expect(dialog.getByRole('listitem').filter({ hasText: 'Removed' })).toContainText('GREETING')
  await expect(dialog).not.toContainText('a-secret-greeting')
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await expect(page.getByRole('link', { name: 'Open app' })).toBeVisible({ timeout: 60_000 })
  expect((await platform.visit('returned.localhost')).body).toContain('version first')

  const paused = page.getByRole('status').filter({ hasText: 'Automatic deploys of Production are paused' })
  await page.goto(`${platform.url}/returned/domains`)
  await expect(paused).toBeVisible()
  await paused.getByRole('button', { name: 'Resume' }).click()
  await expect(paused).toHaveCount(0)

  await page.goto(`${platform.url}/returned/environments`)
  await page.getByRole('button', { name: 'Actions for Production' }).click()
  await page.getByRole('menuitem', { name: 'Lock' }).click()
  await dialog.getByLabel('Reason').fill('Freeze until Monday')
  await dialog.getByRole('button', { name: 'Lock' }).click()
  const locked = page.getByRole('status').filter({ hasText: 'Production is locked: Freeze until Monday' })
  await expect(locked).toBeVisible()
  const refused = await api<{ error: { message: string } }>(platform, 'POST', '/deployments', { projectId })
  expect([refused.status, JSON.stringify(refused.body)]).toEqual([409, expect.stringContaining('Freeze until Monday')])
  await locked.getByRole('button', { name: 'Unlock' }).click()
  await expect(locked).toHaveCount(0)

  await page.goto(`${platform.url}/returned/deployments?status=superseded`)
  await expect(page.getByLabel('Status')).toHaveValue('SUPERSEDED')
  await page.getByLabel('Status').selectOption('Live')
  await expect(page).toHaveURL(/status=active/)
  await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(1)
  expect(errors).toEqual([])
})

test('settings are kept, and a pasted .env file becomes variables', async ({ page }) => {
  await newProject('settled', watchableApp('settled'))
  await signIn(page, platform)
  await page.goto(`${platform.url}/settled/settings`)
  await page.getByLabel('Path', { exact: true }).fill('/healthz')
  await page.getByLabel('Path', { exact: true }).press('Enter')
  await expect(page.getByText('Health check saved')).toBeVisible()
  await page.reload()
  await expect(page.getByLabel('Path', { exact: true })).toHaveValue('/healthz')

  await page.getByRole('link', { name: 'Variables' }).click()
  await expect(page.getByRole('heading', { name: 'Variables', exact: true })).toBeVisible()
  await page.getByLabel('Name').focus()
  await page.evaluate(() => {
    const clipboardData = new DataTransfer()
    clipboardData.setData('text', '# app\nAPI_ORIGIN="https://api.example.com"\nSECRET=abc123')
    document.activeElement?.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
  })
  await page.getByRole('button', { name: 'Save 2 variables' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: 'API_ORIGIN' })).toBeVisible()
  await expect(page.getByRole('listitem').filter({ hasText: 'SECRET' })).toBeVisible()
  await expect(page.locator('body')).not.toContainText('abc123')
})

test('every page fits a phone, works by keyboard, and keeps the chosen theme', async ({ page }) => {
  const errors = pageErrors(page)
  await newProject('phone', watchableApp('phone'))
  await page.setViewportSize({ width: 390, height: 844 })
  await signIn(page, platform)
  await page.getByRole('button', { name: 'Account menu' }).click()
  await page.getByRole('menuitemradio', { name: 'Dark' }).click()
  for (const route of [
    '/',
    '/new',
    '/deployments',
    '/settings',
    '/phone',
    '/phone/deployments',
    '/phone/environments',
    '/phone/instances',
    '/phone/variables',
    '/phone/settings',
    '/phone/settings/webhooks',
  ]) {
    await page.goto(platform.url + route)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page).toHaveTitle(/Switchyard/)
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), `${route} scrolls sideways`).toBe(
      0,
    )
    await expect(page.locator('html')).toHaveClass(/dark/)
  }
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('main')).toBeFocused()
  expect(errors).toEqual([])
})
