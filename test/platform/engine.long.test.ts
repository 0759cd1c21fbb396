import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectEngine } from '@/builder/engine'
import { exec } from '@/shared/node/exec'
import { api, deployByCli, folder, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { until } from '../support/processes'

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = path.join(root, 'scripts/dockerd.mjs')
const inside = process.env.SWITCHYARD_OWN_NETWORK === '1'
const kills = 10
/** Ten seconds on a machine that does nothing else; the figures are printed. */
const backWithinMs = 60_000
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

// An engine of its own needs a network of its own: this file runs itself again in one, with a /run that shows no other engine.
test.skipIf(inside || process.getuid?.() !== 0)(
  'an engine that is killed ten times: the app is back each time, and nothing is left over',
  async () => {
    const enter = 'ip link set lo up && mount -t tmpfs tmpfs /run && exec "$@"'
    const again = [process.execPath, path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'long', fileURLToPath(import.meta.url)]
    const argv = ['unshare', '--net', '--mount', '--propagation', 'private', 'sh', '-c', enter, 'sh', ...again] as const
    const env = { PATH: `${path.dirname(process.execPath)}:${searchPath}`, HOME: '/root', SWITCHYARD_OWN_NETWORK: '1' }
    const result = await exec([...argv], { cwd: root, deadlineMs: 40 * 60_000, env })
    console.log(result.stdout.slice(-8000))
    expect(result.code, result.stdout.slice(-8000) + result.stderr.slice(-4000)).toBe(0)
  },
  41 * 60_000,
)

describe.skipIf(!inside)('an engine of its own', () => {
  let state: string
  let platform: RunningPlatform
  let app: Awaited<ReturnType<typeof folder>>
  const dockerd = async (command: 'start' | 'stop') => {
    const result = await exec([process.execPath, script, command, state], { deadlineMs: 100_000, env: { PATH: searchPath } })
    expect(result.code, result.stdout + result.stderr).toBe(0)
  }
  beforeAll(async () => {
    state = await mkdtemp(path.join(tmpdir(), 'sy-killed-engine-'))
    await dockerd('start')
    process.env.DOCKER_HOST = `unix://${state}/docker.sock`
    platform = await startPlatform({ runtime: 'docker', env: { DOCKER_HOST: `unix://${state}/docker.sock` } })
    app = await folder(tinyServer('1'))
    const deployed = await deployByCli(platform, app.directory, 'tiny')
    expect(deployed.code, deployed.stderr).toBe(0)
  }, 900_000)
  afterAll(async () => {
    await app?.remove()
    await platform?.stop()
    await dockerd('stop')
    await rm(state, { recursive: true, force: true })
  }, 120_000)

  const answers = async () => (await platform.visit('tiny.localhost').catch(() => null))?.status === 200
  const instances = async () => {
    const { body } = await api<{ items: { id: string }[] }>(platform, 'GET', '/projects')
    const list = await api<{ items: { id: string; state: string }[] }>(platform, 'GET', `/projects/${body.items[0]?.id}/instances`)
    return list.body.items.filter((instance) => instance.state !== 'stopped' && instance.state !== 'sleeping')
  }
  const counts = async () => {
    const engine = connectEngine(`${state}/docker.sock`)
    const [control] = (await platform.pids()).control
    return {
      descriptors: (await readdir(`/proc/${control}/fd`)).length,
      running: (await engine.listContainers()).length,
      networks: (await engine.listNetworks()).length,
    }
  }

  test(
    'comes back ten times, and the app with it',
    async () => {
      await until('the app answers', 30_000, answers)
      const before = await counts()
      const backMs: number[] = []
      for (let round = 1; round <= kills; round++) {
        process.kill(Number(await readFile(`${state}/docker.pid`, 'utf8')), 'SIGKILL')
        // Containers outlive their engine until the next one ends them.
        expect(await answers()).toBe(true)
        await dockerd('start')
        const since = Date.now()
        await until(
          `the app answers after kill ${round}, and the record says so`,
          backWithinMs,
          async () => (await answers()) && (await instances()).length === 1 && (await instances())[0]?.state === 'healthy',
        )
        backMs.push(Date.now() - since)
      }
      console.log(JSON.stringify({ backMs }))
      const health = (await (await fetch(`${platform.url}/api/health`)).json()) as { checks: Record<string, boolean> }
      expect(health.checks.runtime).toBe(true)
      await until('containers and networks are as before', 30_000, async () => {
        const now = await counts()
        return now.running === before.running && now.networks === before.networks
      })
      expect((await counts()).descriptors).toBeLessThan(before.descriptors + 15)
    },
    25 * 60_000,
  )
})
