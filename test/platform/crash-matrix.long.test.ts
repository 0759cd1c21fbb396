import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EnvironmentView } from '@/shared/environments'
import type { DeploymentView, InstanceView } from '@/shared/views'
import { api, deployByCli, deploymentThat, folder, getDeployment, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { openPlatformDatabase, type PlatformDatabase } from '../support/platform-database'
import { until } from '../support/processes'
import { startVisitor } from '../support/visitor'

/** How often each point is tried: ROUNDS=10 npm run test:long -- test/platform/crash-matrix */
const rounds = Number(process.env.ROUNDS ?? 1)

/**
 * `kill -9` of the control process right before and right after the side effect of every step of every kind of deployment. The points are
 * the steps that a first run of each kind records, so a new step is tried without a change here.
 */
describe('crash matrix', () => {
  let platform: RunningPlatform
  let database: PlatformDatabase
  let app: Awaited<ReturnType<typeof folder>>
  let version = 0
  beforeAll(async () => {
    platform = await startPlatform({ runtime: 'process' })
    database = await openPlatformDatabase(platform)
    app = await folder(tinyServer('0'))
    await deployNext()
  })
  afterAll(async () => {
    await database?.close()
    await app?.remove()
    await platform?.stop()
  })

  async function nextVersion(): Promise<void> {
    version++
    const files = tinyServer(String(version))
    await app.write({
      ...files,
      'package.json': JSON.stringify({ name: 'tiny', private: true, scripts: { build: 'echo built', start: 'node server.js' } }),
    })
  }
  async function deployNext(): Promise<string> {
    await nextVersion()
    return (await deployByCli(platform, app.directory, 'tiny')).result.deploymentId
  }
  const newest = async () => (await api<{ items: DeploymentView[] }>(platform, 'GET', '/deployments?limit=1')).body.items[0]?.id
  const post = async (route: string, input: object = {}) => {
    const answer = await api<{ deploymentId: string }>(platform, 'POST', route, input)
    if (answer.status !== 202) throw new Error(`${route}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body.deploymentId
  }
  const environments = async () => (await api<{ items: EnvironmentView[] }>(platform, 'GET', '/projects/tiny/environments')).body.items
  const production = async () => (await environments()).find(({ kind }) => kind === 'production')
  const instances = async () =>
    (await api<{ items: InstanceView[] }>(platform, 'GET', '/projects/tiny/instances')).body.items.filter(({ state }) => state !== 'stopped')
  const setWarm = (minutes: number) => api(platform, 'PATCH', '/projects/tiny', { runtimeSettings: { warmMinutes: minutes } })
  const isQuiet = async () => (await instances()).every(({ state }) => state === 'healthy' || state === 'sleeping')

  /** Each kind begins from a state in which it can run, and answers the id of its deployment. */
  const kinds: Record<string, { prepare(): Promise<void>; begin(): Promise<string> }> = {
    deploy: {
      prepare: nextVersion,
      async begin() {
        const before = await newest()
        void deployByCli(platform, app.directory, 'tiny').catch(() => {})
        return until('a new deployment', 60_000, async () => {
          const id = await newest().catch(() => before)
          return id !== before && id
        })
      },
    },
    'warm rollback': {
      async prepare() {
        await setWarm(30)
        await deployNext()
        await until('the version before is frozen', 60_000, async () => (await instances()).some(({ state }) => state === 'sleeping'))
      },
      begin: () => post('/projects/tiny/rollback'),
    },
    'cold rollback': {
      async prepare() {
        await setWarm(0)
        await deployNext()
        await until('one instance runs', 60_000, async () => (await instances()).length === 1)
      },
      begin: () => post('/projects/tiny/rollback'),
    },
    restart: { prepare: async () => {}, begin: () => post('/projects/tiny/restart') },
    redeploy: { prepare: async () => {}, begin: async () => post(`/deployments/${(await production())?.liveDeployment?.id}/redeploy`) },
    promote: {
      async prepare() {
        const known = (await environments()).some(({ name }) => name === 'staging')
        if (!known) await api(platform, 'POST', '/projects/tiny/environments', { name: 'staging' })
        const id = await post(`/deployments/${(await production())?.liveDeployment?.id}/promote`, { environment: 'staging' })
        await deploymentThat(platform, id, 'is live', (d) => d.status === 'ACTIVE')
      },
      async begin() {
        const staging = (await environments()).find(({ name }) => name === 'staging')
        return post(`/deployments/${staging?.liveDeployment?.id}/promote`)
      },
    },
  }

  async function stepsOf(kind: string): Promise<string[]> {
    await kinds[kind]?.prepare()
    const id = (await kinds[kind]?.begin()) ?? ''
    await deploymentThat(platform, id, 'is live', (d) => d.status === 'ACTIVE')
    await until('the version before has ended', 60_000, async () =>
      (await getDeployment(platform, id)).steps.every(({ status }) => status !== 'running'),
    )
    return [...new Set((await getDeployment(platform, id)).steps.map(({ name }) => name))]
  }

  async function crashAt(kind: string, step: string, at: 'begin' | 'end'): Promise<number> {
    await kinds[kind]?.prepare()
    await until('nothing is under way', 60_000, isQuiet)
    const hold = await database.holdStep(step, at)
    const visitor = startVisitor(platform, 'tiny.localhost', 2)
    const id = (await kinds[kind]?.begin()) ?? ''
    await until(`${kind}: ${step} ${at}`, 60_000, hold.isHeld)
    await platform.kill('control')
    await hold.release()
    await platform.ready()
    const readyAt = Date.now()
    const ended = await deploymentThat(platform, id, 'has ended', (d) => ['ACTIVE', 'FAILED', 'CANCELED'].includes(d.status))
    const point = `${kind}: ${step} ${at}`
    expect([point, ended.status, ended.error]).toEqual([point, 'ACTIVE', null])
    await until(`${point}: one version serves`, 60_000, async () => {
      const now = (await instances()).filter(({ deploymentId }) => deploymentId === id)
      return (await isQuiet()) && now.length === 1 && now[0]?.state === 'healthy'
    })
    const convergedMs = Date.now() - readyAt
    const live = await production()
    expect([point, live?.liveDeployment?.id]).toEqual([point, id])
    const { steps } = await getDeployment(platform, id)
    expect([point, steps.filter(({ status }) => status === 'running')]).toEqual([point, []])
    // Every process of an app belongs to an instance of the record.
    const apps = platform.processes().filter((command) => command.includes('server.js') && !command.includes('/bin/sh')).length
    expect([point, apps]).toEqual([point, (await instances()).length])
    const { failures } = await visitor.stop()
    expect([point, failures]).toEqual([point, []])
    return convergedMs
  }
  test.each(Object.keys(kinds))(
    '%s: killed before and after the side effect of each step, it converges and no request fails',
    async (kind) => {
      const steps = await stepsOf(kind)
      const tried: string[] = []
      for (let round = 0; round < rounds; round++)
        for (const step of steps)
          for (const at of step === 'stop' || step === 'keep' ? (['begin'] as const) : (['begin', 'end'] as const)) {
            tried.push(`${step} ${at} ${await crashAt(kind, step, at)} ms`)
            process.stdout.write(`${kind}: ${tried.at(-1)}\n`)
          }
      process.stdout.write(`${kind}: ${tried.length} points\n`)
      expect(tried.length).toBeGreaterThan(5)
    },
    3_600_000,
  )
})
