import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EnvironmentView, ShareLinkView } from '@/shared/environments'
import type { DeploymentView, InstanceView } from '@/shared/views'
import { api, cli, deployByCli, deploymentThat, folder, getDeployment, readLogLines, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { until } from '../support/processes'
import { startVisitor } from '../support/visitor'

const crashOnRequest = "server.prependListener('request', ({ url }) => url === '/crash' && process.exit(1))"
const ended = (view: DeploymentView) => ['ACTIVE', 'FAILED', 'CANCELED'].includes(view.status)
/** Answers one in ten requests with a server error from a second after its start. */
const failingSoon = `
const bornAt = Date.now()
let count = 0
server.prependListener('request', (_, response) => { if (Date.now() - bornAt > 4000 && ++count % 10 === 0) { response.writeHead(500).end('bad'); response.writeHead = response.end = () => response } })`

/** What a person does with releases after they were built: the way back, restart, promotion, lock. */
export function describeReleases(runtime: 'process' | 'docker'): void {
  describe(`releases on the ${runtime} runtime`, () => {
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
    const body = async (host = 'tiny.localhost') => (await platform.visit(host)).body
    const deploy = async (version: string) => {
      await app.write(tinyServer(version, { extra: crashOnRequest }))
      const { code, result } = await deployByCli(platform, app.directory, 'tiny')
      expect(code).toBe(0)
      return result.deploymentId
    }
    const instances = async () => (await api<{ items: InstanceView[] }>(platform, 'GET', '/projects/tiny/instances')).body.items
    const production = async () => {
      const { items } = (await api<{ items: EnvironmentView[] }>(platform, 'GET', '/projects/tiny/environments')).body
      const found = items.find(({ kind }) => kind === 'production')
      if (!found) throw new Error('no production environment')
      return found
    }
    const releaseBy = async (route: string, input: object = {}) => {
      const answer = await api<{ deploymentId: string }>(platform, 'POST', route, input)
      expect(answer).toMatchObject({ status: 202 })
      return deploymentThat(platform, answer.body.deploymentId, 'has ended', ended)
    }
    let first = ''
    let second = ''

    test('a replaced version is frozen after its requests have ended, and a rollback wakes it without a failed request', async () => {
      first = await deploy('1')
      const [before] = await instances()
      second = await deploy('2')
      await until('the first version is frozen', 30_000, async () => (await instances()).some((i) => i.id === before?.id && i.state === 'sleeping'))
      expect((await platform.visit(`tiny-${first}.localhost`)).status).toBe(503)
      expect((await production()).rollbackTo?.id).toBe(first)
      const visitor = startVisitor(platform, 'tiny.localhost')
      const back = await releaseBy(`/deployments/${first}/rollback`)
      expect(await body()).toContain('version 1')
      expect((await visitor.stop()).failures).toEqual([])
      expect(back).toMatchObject({ kind: 'rollback', status: 'ACTIVE', live: true, repeats: first, error: null })
      expect(back.timings).toMatchObject({ wake: expect.any(Number), health: expect.any(Number), cutover: expect.any(Number) })
      expect((await instances()).find((i) => i.state === 'healthy')).toMatchObject({ id: before?.id, deploymentId: back.id })
      expect(await getDeployment(platform, second)).toMatchObject({ status: 'ROLLED_BACK', live: false })
    })

    test('the command line rolls back to the version before, and says where it leads', async () => {
      const { code, stdout } = await cli(['rollback', '--project', 'tiny', '--api', platform.url, '--token', platform.apiKey, '--json', first])
      expect(code).toBe(1)
      expect(stdout).toContain('live already')
      const listed = await cli(['environments', '--project', 'tiny', '--api', platform.url, '--token', platform.apiKey])
      // Colours stand between the columns.
      expect(listed.stdout.split('\n').find((line) => line.startsWith('production'))).toContain('pushes paused')
    })

    test('automatic deploys are paused by a rollback, with the reason, until somebody resumes them', async () => {
      const environment = await production()
      expect(environment.paused?.reason).toContain(`rolled back to deployment ${first}`)
      const resumed = await api<EnvironmentView>(platform, 'PUT', `/environments/${environment.id}`, { autoDeploy: true })
      expect(resumed.body.paused).toBeNull()
    })

    test('a rollback needs no process that was kept: it starts the stored artifact, with the variables of then', async () => {
      await api(platform, 'PUT', '/projects/tiny/variables/GREETING', { value: 'hello' })
      const third = await deploy('3')
      expect(await body()).toContain('version 3 hello')
      await api(platform, 'PUT', '/projects/tiny/variables/GREETING', { value: 'changed' })
      const restarted = await releaseBy('/projects/tiny/restart')
      expect(restarted).toMatchObject({ kind: 'restart', status: 'ACTIVE' })
      expect(await body()).toContain('version 3 changed')
      const back = await releaseBy(`/deployments/${third}/rollback`)
      expect(back.status).toBe('ACTIVE')
      expect(await body()).toContain('version 3 hello')
      const older = await releaseBy(`/deployments/${second}/rollback`)
      expect(older).toMatchObject({ status: 'ACTIVE', timings: { wake: expect.any(Number) } })
      expect(await body()).toContain('version 2')
    })

    test('a locked environment refuses a deployment with its reason and serves on', async () => {
      const { id } = await production()
      await api(platform, 'PUT', `/environments/${id}`, { lock: 'audit until Friday' })
      const refused = await api<{ error: { message: string } }>(platform, 'POST', '/projects/tiny/restart', {})
      expect([refused.status, refused.body.error.message]).toEqual([409, expect.stringContaining('audit until Friday')])
      await api(platform, 'PUT', `/environments/${id}`, { lock: null })
      expect(await body()).toContain('version 2')
    })

    test('an environment of its own has its own hostname and variables, and a promotion brings its artifact to production', async () => {
      const made = await api<EnvironmentView>(platform, 'POST', '/projects/tiny/environments', { name: 'staging' })
      expect(made.status).toBe(201)
      expect(made.body.url).toContain('tiny-staging.localhost')
      await api(platform, 'PUT', '/projects/tiny/variables/GREETING', { value: 'staged', environment: 'staging' })
      const staged = await releaseBy(`/deployments/${first}/promote`, { environment: 'staging' })
      expect(staged).toMatchObject({ environment: 'staging', status: 'ACTIVE' })
      expect(await body('tiny-staging.localhost')).toContain('version 1 staged')
      const promoted = await releaseBy(`/deployments/${staged.id}/promote`)
      expect(promoted).toMatchObject({ environment: 'production', kind: 'promote', status: 'ACTIVE' })
      expect(await body()).toContain('version 1 changed')
      await api(platform, 'DELETE', `/environments/${made.body.id}`)
      expect((await platform.visit('tiny-staging.localhost')).status).toBe(404)
      await until('its instance has ended', 30_000, async () =>
        (await instances()).every((i) => i.deploymentId !== staged.id || i.state === 'stopped'),
      )
    })

    test('a preview answers 401 without a share link, serves with it on all its hosts, and answers 401 once the link is revoked', async () => {
      const options = ['--project', 'tiny', '--pull-request', '7', '--branch', 'login', '--api', platform.url, '--token', platform.apiKey, '--json']
      expect((await cli(['deploy', app.directory, ...options])).code).toBe(0)
      const { items } = (await api<{ items: EnvironmentView[] }>(platform, 'GET', '/projects/tiny/environments')).body
      const preview = items.find(({ pullRequest }) => pullRequest === 7)
      const hosts = ['tiny-pr-7.localhost', `tiny-${preview?.liveDeployment?.id}.localhost`]
      const statuses = (headers?: Record<string, string>) => Promise.all(hosts.map(async (host) => (await platform.visit(host, '/', headers)).status))
      expect(await statuses()).toEqual([401, 401])
      const links = `/environments/${preview?.id}/share-links`
      const { body: link } = await api<ShareLinkView>(platform, 'POST', links, {})
      const entered = await platform.visit('tiny-pr-7.localhost', `/${new URL(link.url).search}`)
      const cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
      expect([entered.status, entered.headers.location]).toEqual([303, '/'])
      expect(await statuses({ cookie })).toEqual([200, 200])
      expect((await api(platform, 'DELETE', `${links}/${link.id}`)).status).toBe(204)
      expect(await statuses({ cookie })).toEqual([401, 401])
      expect((await platform.visit('tiny.localhost')).status).toBe(200)
    })

    test('a release runs as many instances as wanted, and one that dies is replaced while the others serve', async () => {
      await api(platform, 'PATCH', '/projects/tiny', { runtimeSettings: { instances: 3 } })
      const { id } = await releaseBy('/projects/tiny/restart')
      // Previews of the project run instances of their own.
      const running = async () => (await instances()).filter((i) => i.state === 'healthy' && i.deploymentId === id)
      const before = await running()
      expect(before).toHaveLength(3)
      // Requests that the crashed instance has taken are lost; those that begin afterwards must not be.
      await platform.visit('tiny.localhost', '/crash').catch(() => {})
      const visitor = startVisitor(platform, 'tiny.localhost', 5)
      await until('three instances run again', 30_000, async () => {
        const now = await running()
        return now.length === 3 && now.some((i) => before.every((one) => one.id !== i.id))
      })
      expect((await visitor.stop()).failures).toEqual([])
    })

    test('a version that begins to fail under traffic is rolled back by itself within its watch window, one without traffic is left alone', async () => {
      await api(platform, 'PATCH', '/projects/tiny', { runtimeSettings: { instances: 1, watchSeconds: 5 } })
      const quiet = await deploy('4')
      expect((await getDeployment(platform, quiet)).watchUntil).not.toBeNull()
      const left = await deploymentThat(platform, quiet, 'is not watched any more', ({ watchUntil }) => watchUntil === null)
      expect(left).toMatchObject({ status: 'ACTIVE', live: true, watch: { verdict: 'too_little_traffic', rollbackId: null } })

      await api(platform, 'PATCH', '/projects/tiny', { runtimeSettings: { watchSeconds: 120 } })
      const visitors = [startVisitor(platform, 'tiny.localhost'), startVisitor(platform, 'tiny.localhost')]
      await app.write(tinyServer('5', { extra: failingSoon }))
      const { result } = await deployByCli(platform, app.directory, 'tiny')
      const bad = await deploymentThat(platform, result.deploymentId, 'was rolled back', ({ status }) => status === 'ROLLED_BACK')
      for (const visitor of visitors) await visitor.stop()
      expect(await body()).toContain('version 4')
      const { rollbackId, now, before, decidedAt, ...watch } = bad.watch ?? { rollbackId: null, now: null, before: null, decidedAt: null }
      expect(watch).toMatchObject({ verdict: 'worse', reason: expect.stringContaining('were server errors') })
      expect(now?.errors).toBeGreaterThan(0)
      expect(before).toMatchObject({ deploymentId: quiet, errors: 0 })
      expect(Date.parse(decidedAt ?? '')).toBeLessThan(Date.parse(bad.liveAt ?? '') + 120_000)
      expect(await getDeployment(platform, rollbackId ?? '')).toMatchObject({ kind: 'rollback', status: 'ACTIVE', triggeredBy: 'system', live: true })
      expect((await production()).paused?.reason).toContain(`Deployment ${bad.id} was worse than the version before`)
      const lines = await readLogLines(platform, bad.id)
      expect(lines.find(({ step }) => step === 'watch')?.text).toContain(`Deployment ${rollbackId} goes back to ${quiet}.`)
    }, 300_000)
  })
}
