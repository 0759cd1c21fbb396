import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { linesWith } from '../support/dump'
import { startGitServer } from '../support/git-server'
import { api, deployByCli, deploymentThat, folder, getDeployment, readLogLines, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { openPlatformDatabase } from '../support/platform-database'
import { until } from '../support/processes'

type ErrorBody = { error: { code: string; message: string; stillServing?: string; nextAction?: string } }

describe.each(['process', 'docker'] as const)('shipping on the %s runtime', (runtime) => {
  let platform: RunningPlatform
  let app: Awaited<ReturnType<typeof folder>>
  beforeAll(async () => {
    platform = await startPlatform({ runtime })
    app = await folder(tinyServer('1'))
  })
  afterAll(async () => {
    await app?.remove()
    await platform?.stop()
  })
  const body = async (host: string) => (await platform.visit(host)).body

  test('a folder becomes a running app at its own hostname, and the next version takes its place', async () => {
    const first = await deployByCli(platform, app.directory, 'tiny')
    expect(first).toMatchObject({ code: 0, result: { status: 'ACTIVE', framework: 'node', url: `http://tiny.localhost:${platform.edgePort}` } })
    expect(first.result.timings.total).toBeGreaterThan(0)
    expect(await body('tiny.localhost')).toContain('version 1')
    expect(await body(`tiny-${first.result.deploymentId}.localhost`)).toContain('version 1')
    // Health checks, waiting and the cutover are no visits: these are the two above.
    const visits = async () => (await api<{ total: { requests: number } }>(platform, 'GET', '/projects/tiny/traffic')).body.total.requests
    await expect.poll(visits, { timeout: 20_000 }).toBeGreaterThan(1)
    expect(await visits()).toBe(2)
    await app.write(tinyServer('2'))
    const second = await deployByCli(platform, app.directory, 'tiny')
    expect(second.code).toBe(0)
    expect(await body('tiny.localhost')).toContain('version 2')
    const old = await deploymentThat(platform, first.result.deploymentId, 'is superseded', (d) => d.status === 'SUPERSEDED')
    expect(old.live).toBe(false)
    expect((await platform.visit(`tiny-${first.result.deploymentId}.localhost`)).status).not.toBe(200)
  })

  test('an unchanged folder is not built again', async () => {
    const again = await deployByCli(platform, app.directory, 'tiny')
    expect(again.code).toBe(0)
    const { steps } = await getDeployment(platform, again.result.deploymentId)
    const building = steps.filter((s) => ['install', 'build', 'package'].includes(s.name))
    expect(building.map((s) => s.cached)).not.toContain(false)
    expect(building.length).toBeGreaterThan(0)
  })

  test('an app that never becomes healthy leaves the live one alone, says why, and shows what it printed', async () => {
    const end = "console.error('cannot reach the database'); setTimeout(() => process.exit(3), 500)"
    await app.write(tinyServer('broken', { extra: end, listenAfterMs: 600_000 }))
    const failed = await deployByCli(platform, app.directory, 'tiny')
    expect(failed).toMatchObject({ code: 1, result: { status: 'FAILED' } })
    expect(await body('tiny.localhost')).toContain('version 2')
    const view = await getDeployment(platform, failed.result.deploymentId)
    expect(view.error).toMatchObject({ code: 'ERR_HEALTH_CHECK', step: 'health' })
    expect(view.error?.message).toContain('code 3')
    expect(view.error?.stillServing).toMatch(/^Deployment \S+ stays live/)
    expect(view.error?.nextAction).toBeTruthy()
    await until('its output is in the log', 30_000, async () =>
      (await readLogLines(platform, failed.result.deploymentId)).some(({ text }) => text === 'cannot reach the database'),
    )
  })

  test('a build that fails ends with the reason and the output of the command', async () => {
    await app.write({
      'package.json': JSON.stringify({
        name: 'tiny',
        private: true,
        scripts: { build: 'echo compiling; echo kaputt >&2; exit 7', start: 'node server.js' },
      }),
    })
    const failed = await deployByCli(platform, app.directory, 'tiny')
    expect(failed).toMatchObject({ code: 1, result: { status: 'FAILED' } })
    const view = await getDeployment(platform, failed.result.deploymentId)
    expect(view.error).toMatchObject({ code: 'ERR_BUILD', step: 'build' })
    expect((await readLogLines(platform, failed.result.deploymentId)).map((l) => l.text)).toEqual(expect.arrayContaining(['compiling', 'kaputt']))
    expect(await body('tiny.localhost')).toContain('version 2')
  })

  test('a second deployment of the environment is refused with 409 while one runs, and canceling really stops it', async () => {
    await app.write({
      ...tinyServer('3'),
      'package.json': JSON.stringify({ name: 'tiny', private: true, scripts: { build: 'echo building; sleep 300', start: 'node server.js' } }),
    })
    const running = deployByCli(platform, app.directory, 'tiny')
    const { body: list } = await api<{ items: { id: string; projectId: string; status: string }[] }>(platform, 'GET', '/deployments')
    const projectId = list.items[0]?.projectId ?? ''
    let id = ''
    await expect
      .poll(
        async () => {
          const now = await api<{ items: { id: string; status: string }[] }>(platform, 'GET', '/deployments')
          const current = now.body.items.find((d) => d.status === 'BUILDING')
          id = current?.id ?? ''
          return id && (await readLogLines(platform, id)).some((l) => l.text === 'building')
        },
        { timeout: 60_000 },
      )
      .toBe(true)
    const refused = await api<ErrorBody>(platform, 'POST', '/deployments', { projectId, triggeredBy: 'api' })
    // The project has no repository, so a deployment without a source is refused for that; with one, because one is running.
    expect([400, 409]).toContain(refused.status)
    const source = await fetch(`${platform.url}/api/v1/sources`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform.apiKey}` },
      body: new Uint8Array(1024),
    })
    const { source: digest } = (await source.json()) as { source: string }
    const second = await api<ErrorBody>(platform, 'POST', '/deployments', { projectId, triggeredBy: 'api', source: digest })
    expect(second.status).toBe(409)
    expect(second.body.error).toMatchObject({ code: 'ERR_DEPLOYMENT_RUNNING' })
    expect((await api(platform, 'POST', `/deployments/${id}/cancel`)).status).toBe(200)
    expect(await running).toMatchObject({ code: 1, result: { status: 'CANCELED' } })
    expect(await body('tiny.localhost')).toContain('version 2')
  })

  test('a variable reaches the app with the next deployment, and no answer of the API ever holds its value', async () => {
    const { body: projects } = await api<{ items: { id: string; slug: string }[] }>(platform, 'GET', '/projects')
    const project = projects.items.find((p) => p.slug === 'tiny')
    const secret = 'hello-from-a-secret'
    const set = await api(platform, 'PUT', `/projects/${project?.id}/variables/GREETING`, { value: secret })
    expect([200, 201]).toContain(set.status)
    await app.write(tinyServer('4'))
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
    expect(await body('tiny.localhost')).toBe(`version 4 ${secret}`)
    for (const route of [`/projects/${project?.id}`, `/projects/${project?.id}/variables`, '/deployments'])
      expect(JSON.stringify((await api(platform, 'GET', route)).body)).not.toContain(secret)
  })

  test('a private repository is deployed with a token that no answer, no line and no row of the database shows', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'sy-git-'))
    const auth = { username: 'ada', password: 'git@canary/4711' }
    const server = await startGitServer({ root, auth })
    const database = await openPlatformDatabase(platform)
    try {
      const { url } = await server.createRepo('private', tinyServer('from git'))
      const repository = url.replace('://', `://${auth.username}:${encodeURIComponent(auth.password)}@`)
      const created = await api<{ id: string; repository: string }>(platform, 'POST', '/projects', { name: 'private', repository })
      expect(created).toMatchObject({ status: 201, body: { repository: url, repositoryCredentials: true } })
      const started = await api<{ id: string }>(platform, 'POST', '/deployments', { projectId: created.body.id })
      const live = await deploymentThat(platform, started.body.id, 'is live', (d) => d.status === 'ACTIVE' || d.status === 'FAILED')
      expect(live).toMatchObject({ status: 'ACTIVE', source: { repository: url } })
      expect(await body('private.localhost')).toContain('version from git')
      const said = JSON.stringify([created.body, live, await readLogLines(platform, live.id)])
      for (const text of [said, await database.dump()]) expect(linesWith(text, auth.password)).toEqual([])
    } finally {
      await database.close()
      await server.close()
      await rm(root, { recursive: true, force: true })
    }
  })

  test('no process of this machine has a secret of the start in its environment, the app, its database and its routers included', async () => {
    const environments = await Promise.all(
      (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
    )
    expect(environments.filter((text) => text.includes(platform.home)).length).toBeGreaterThan(2)
    for (const secret of [platform.apiKey, platform.password]) expect(environments.filter((text) => text.includes(secret))).toEqual([])
  })

  test('an artifact can be downloaded as a zip', async () => {
    const { body: list } = await api<{ items: { id: string; live: boolean }[] }>(platform, 'GET', '/deployments')
    const live = list.items.find((d) => d.live)
    const answer = await fetch(`${platform.url}/api/v1/deployments/${live?.id}/download`, { headers: { authorization: `Bearer ${platform.apiKey}` } })
    expect(answer.headers.get('content-type')).toBe('application/zip')
    const zip = Buffer.from(await answer.arrayBuffer())
    expect(zip.subarray(0, 4)).toEqual(Buffer.from('PK\x03\x04'))
    expect(zip.includes('server.js')).toBe(true)
  })

  test('an app that dies is started again, and its death is in its log', async () => {
    await app.write(
      tinyServer('5', {
        extra:
          "setTimeout(() => { if (require('node:fs').existsSync('/tmp/never')) return }, 1); server.on('request', (q) => { if (q.url === '/die') process.exit(9) })",
      }),
    )
    const { result } = await deployByCli(platform, app.directory, 'tiny')
    await platform.visit('tiny.localhost', '/die').catch(() => {})
    await expect.poll(async () => (await platform.visit('tiny.localhost').catch(() => undefined))?.body, { timeout: 60_000 }).toContain('version 5')
    await expect
      .poll(async () => (await readLogLines(platform, result.deploymentId)).some((l) => /exited with code 9|is gone/.test(l.text)), {
        timeout: 30_000,
      })
      .toBe(true)
  })

  test('deleting a project removes its apps and its hostname', async () => {
    const { body: projects } = await api<{ items: { id: string; slug: string; name: string }[] }>(platform, 'GET', '/projects')
    const project = projects.items.find((p) => p.slug === 'tiny')
    expect((await api(platform, 'DELETE', `/projects/${project?.id}?confirm=${project?.name}`)).status).toBeLessThan(300)
    expect((await platform.visit('tiny.localhost')).status).toBe(404)
    expect((await api(platform, 'GET', `/projects/${project?.id}`)).status).toBe(404)
  })
})
