import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from '@playwright/test'
import { type GitServer, startGitServer } from '@/test/support/git-server'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { buildLines, watchableApp } from './support/apps'
import { attachOutputs } from './support/outputs'
import { pageErrors } from './support/sign-in'

let platform: RunningPlatform
let git: GitServer
let repositories: string

test.beforeAll(async () => {
  repositories = await mkdtemp(path.join(tmpdir(), 'sy-e2e-git-'))
  git = await startGitServer({ root: repositories })
  // Without an account from the environment: the person makes the first one.
  const noAccount = { SWITCHYARD_BOOTSTRAP_EMAIL: '', SWITCHYARD_BOOTSTRAP_PASSWORD: '', SWITCHYARD_BOOTSTRAP_API_KEY: '' }
  platform = await startPlatform({ runtime: 'process', env: noAccount })
})
attachOutputs(() => ({ 'the platform': platform.output() }))
test.afterAll(async () => {
  await platform?.stop()
  await git?.close()
  await rm(repositories, { recursive: true, force: true })
})

function oneTimeCode(): string {
  const code = /One-time code: (\S+)/.exec(platform.output())?.[1]
  if (!code) throw new Error(`the server printed no one-time code:\n${platform.output().slice(-2000)}`)
  return code
}

test('first account → project from Git → live logs → app → variable → redeploy → new value', async ({ page, context }) => {
  const errors = pageErrors(page)
  const repository = await git.createRepo('greeter', watchableApp('one'))
  const log = page.getByRole('log')

  await test.step('whoever comes first without the code gets no account', async () => {
    await page.goto(platform.url)
    await expect(page).toHaveURL(/\/setup$/)
    await page.getByLabel('One-time code').fill('wrong-code')
    await page.getByLabel('Your name').fill('Ada')
    await page.getByLabel('E-mail').fill('ada@example.com')
    await page.getByLabel('Password').fill('correct horse battery')
    await page.getByRole('button', { name: 'Create account' }).click()
    await expect(page.getByRole('alert').filter({ hasText: /code/i })).toBeVisible()
  })

  await test.step('the code makes the first account and signs in', async () => {
    await page.getByLabel('One-time code').fill(oneTimeCode())
    await page.getByRole('button', { name: 'Create account' }).click()
    await expect(page.getByRole('heading', { name: 'Ship your first project' })).toBeVisible()
  })

  await test.step('a repository is inspected before anything is built', async () => {
    await page.getByRole('link', { name: 'New project' }).click()
    await page.getByLabel('Git URL').fill(repository.url)
    await page.getByRole('button', { name: 'Inspect repository' }).click()
    await expect(page.getByRole('heading', { name: 'Detected Node.js' })).toBeVisible()
    await expect(page.getByLabel('Build command')).toHaveAttribute('placeholder', /build/)
    await expect(page.getByLabel('Name').first()).toHaveValue('greeter')
    await page.getByLabel('Name', { exact: true }).last().fill('GREETING')
    await page.getByLabel('Value').fill('hello world')
    await page.getByRole('button', { name: 'Deploy' }).click()
  })

  await test.step('the log arrives line by line while it builds', async () => {
    await expect(page).toHaveURL(/\/greeter\/deployments\/\w+$/)
    await expect(log).toContainText('build line 2 of')
    await expect(log).not.toContainText(`build line ${buildLines} of`)
    await expect(log).toContainText(`build line ${buildLines} of`)
    await expect(page.getByRole('heading', { name: 'First commit' })).toBeVisible()
    await expect(page.getByRole('link', { name: 'Open app' })).toBeVisible()
    await expect(page.getByText('Live', { exact: true })).toBeVisible()
  })

  await test.step('the app answers at its own address', async () => {
    const [app] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Open app' }).click()])
    await expect(app.getByRole('heading', { name: 'hello world' })).toBeVisible()
    expect(new URL(app.url()).hostname).toBe('greeter.localhost')
    await app.close()
  })

  await test.step('a changed variable is announced as waiting, and never shown', async () => {
    await page.getByRole('link', { name: 'Variables' }).click()
    await page.getByRole('button', { name: 'Actions for GREETING' }).click()
    await page.getByRole('menuitem', { name: 'Replace value' }).click()
    await page.getByLabel('New value').fill('good morning')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await expect(page.getByText('Your changes take effect with the next deployment.')).toBeVisible()
    await expect(page.locator('body')).not.toContainText('good morning')
  })

  await test.step('a redeployment brings the new value', async () => {
    await page.getByRole('button', { name: 'Redeploy' }).click()
    await expect(page).toHaveURL(/\/greeter\/deployments\/\w+$/)
    await expect(page.getByRole('link', { name: 'Open app' })).toBeVisible({ timeout: 60_000 })
    const [app] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Open app' }).click()])
    await expect(app.getByRole('heading', { name: 'good morning' })).toBeVisible()
    await app.close()
    await page.getByRole('link', { name: 'Variables' }).click()
    await expect(page.getByRole('heading', { name: 'Variables', exact: true })).toBeVisible()
    await expect(page.getByText('Your changes take effect')).toBeHidden()
  })

  await test.step('the overview, the list and the instances tell the same', async () => {
    await page.getByRole('link', { name: 'Overview' }).click()
    await expect(page.getByText('Healthy')).toBeVisible()
    await page.getByRole('link', { name: 'Deployments', exact: true }).click()
    await expect(page.getByRole('listitem').filter({ hasText: 'Superseded' })).toHaveCount(1)
    await page.getByRole('link', { name: 'Instances' }).click()
    await page.getByRole('button', { name: 'Logs' }).first().click()
    await expect(page.getByRole('dialog').getByRole('log')).toContainText('greeter listens')
  })
  expect(errors).toEqual([])
})
