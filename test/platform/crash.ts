import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { api, deployByCli, deploymentThat, folder, getDeployment, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { openPlatformDatabase } from '../support/platform-database'
import { until } from '../support/processes'
import { startVisitor } from '../support/visitor'

/** The platform crashes at chosen moments while visitors ask; for one runtime. */
export function describeCrashes(runtime: 'process' | 'docker'): void {
  describe(`crashes on the ${runtime} runtime`, () => {
    let platform: RunningPlatform
    let app: Awaited<ReturnType<typeof folder>>
    beforeAll(async () => {
      platform = await startPlatform({ runtime })
      app = await folder(tinyServer('1'))
      expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
    })
    afterAll(async () => {
      await app?.remove()
      await platform?.stop()
    })

    const runningInstances = async () => {
      const { body } = await api<{ items: { id: string }[] }>(platform, 'GET', '/projects')
      const answer = await api<{ items: { state: string; deploymentId: string }[] }>(platform, 'GET', `/projects/${body.items[0]?.id}/instances`)
      if (answer.status !== 200) throw new Error(`instances: ${answer.status} ${JSON.stringify(answer.body)}\n${platform.output().slice(-3000)}`)
      // The previous version is kept frozen for rollbacks and receives no requests.
      return answer.body.items.filter((i) => i.state !== 'stopped' && i.state !== 'sleeping')
    }
    const currentDeployment = async () => {
      const { body } = await api<{ items: { id: string; status: string }[] }>(platform, 'GET', '/deployments')
      return body.items[0]
    }

    test.each([
      ['BUILDING', { step: 'build', build: 'echo begun; sleep 4', listenAfterMs: 0 }],
      ['DEPLOYING', { step: 'health', build: 'echo begun', listenAfterMs: 4000 }],
    ] as const)(
      'kill -9 of the control process during %s: apps keep answering, the deployment goes on and ends, nothing is orphaned',
      async (status, { step, build, listenAfterMs }) => {
        const version = `after-${status}`
        await app.write({
          ...tinyServer(version, { listenAfterMs }),
          'package.json': JSON.stringify({ name: 'tiny', private: true, scripts: { build, start: 'node server.js' } }),
        })
        const visits = startVisitor(platform, 'tiny.localhost')
        const deploying = deployByCli(platform, app.directory, 'tiny').catch(() => undefined)
        let id = ''
        await until(`a deployment is ${status}, in its step ${step}`, 60_000, async () => {
          id = (await currentDeployment())?.id ?? ''
          const { status: now, steps } = await getDeployment(platform, id)
          return now === status && steps.some((s) => s.name === step && s.status === 'running')
        })
        await platform.kill('control')
        await platform.ready()
        const ended = await deploymentThat(platform, id, 'has ended', (d) => d.status === 'ACTIVE' || d.status === 'FAILED')
        expect(ended.status).toBe('ACTIVE')
        expect(ended.steps.some((s) => s.status === 'interrupted')).toBe(true)
        expect(ended.steps.filter((s) => s.status === 'running' && !['drain', 'stop', 'keep'].includes(s.name))).toEqual([])
        await until('only the new instance runs', 60_000, async () => (await runningInstances()).length === 1)
        await deploying
        const { count, failures } = await visits.stop()
        expect(count).toBeGreaterThan(10)
        expect(failures).toEqual([])
        expect((await platform.visit('tiny.localhost')).body).toContain(version)
      },
    )

    test('a cutover that routers know of and the record refuses is taken back, and no visitor sees it', async () => {
      const before = (await platform.visit('tiny.localhost')).body
      await app.write(tinyServer('never recorded'))
      const database = await openPlatformDatabase(platform)
      const visits = startVisitor(platform, 'tiny.localhost')
      try {
        const allow = await database.refuseCutovers()
        expect((await deployByCli(platform, app.directory, 'tiny')).code).not.toBe(0)
        await allow()
      } finally {
        await database.close()
      }
      await until('only the old instance runs', 60_000, async () => (await runningInstances()).length === 1)
      const { count, failures } = await visits.stop()
      expect(count).toBeGreaterThan(10)
      expect(failures).toEqual([])
      expect((await platform.visit('tiny.localhost')).body).toBe(before)
    })

    test('with the control process held down, a killed router is back and serves from its own table', async () => {
      const [control] = (await platform.pids()).control
      if (control) process.kill(control, 'SIGSTOP')
      try {
        await platform.kill('router')
        await until('the routers serve again', 10_000, async () => (await platform.visit('tiny.localhost').catch(() => undefined))?.status === 200)
      } finally {
        if (control) process.kill(control, 'SIGCONT')
      }
      await platform.ready()
    })

    test('the supervisor killed: apps and routers keep serving, the next one takes over, and stops everything in the end', async () => {
      const visits = startVisitor(platform, 'tiny.localhost')
      await platform.kill('supervisor')
      expect((await platform.visit('tiny.localhost')).status).toBe(200)
      await platform.restart()
      const { failures } = await visits.stop()
      expect(failures).toEqual([])
      expect((await platform.visit('tiny.localhost')).status).toBe(200)
    })
  })
}
