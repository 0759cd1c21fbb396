import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { api, deployByCli, folder, getDeployment, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { until } from '../support/processes'
import { mountSmallDisk } from '../support/small-disk'
import { startVisitor } from '../support/visitor'

const megabyte = 1024 ** 2

/** Visits the app until what is returned is called, which expects that every answer was the app's. */
function visitor(platform: RunningPlatform) {
  const visits = startVisitor(platform, 'tiny.localhost', 20)
  return async () => {
    const { count, failures } = await visits.stop()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(20)
  }
}

describe.skipIf(process.getuid?.() !== 0)('a disk filled to the last byte', () => {
  let disk: Awaited<ReturnType<typeof mountSmallDisk>>
  let platform: RunningPlatform
  const apps: Awaited<ReturnType<typeof folder>>[] = []
  beforeAll(async () => {
    disk = await mountSmallDisk(2000)
    platform = await startPlatform({ runtime: 'process', home: disk.directory })
    expect((await deploy('tiny', tinyServer('1'))).code).toBe(0)
  })
  afterAll(async () => {
    await disk?.release()
    for (const app of apps) await app.remove()
    await platform?.stop()
    await disk?.remove()
  })

  const deploy = async (name: string, files: Record<string, string>) => {
    const app = await folder(files)
    apps.push(app)
    return deployByCli(platform, app.directory, name)
  }
  const health = async () => {
    const answer = await fetch(`${platform.url}/api/health`, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    return answer ? ((await answer.json()) as { ok: boolean; checks: Record<string, boolean> }) : null
  }
  const healthy = async () => {
    const seen = await health()
    return Boolean(seen?.ok && seen.checks.disk && seen.checks.database)
  }
  const statuses = async () => {
    const { body } = await api<{ items: { id: string; status: string }[] }>(platform, 'GET', '/deployments')
    return new Map(body.items.map((item) => [item.id, item.status]))
  }

  test('by a build: it fails for the disk and gives back what it took, apps keep answering, the next build works', async () => {
    const stop = visitor(platform)
    const before = await disk.freeBytes()
    const scripts = { build: 'cat /dev/zero > a-file-without-end', start: 'node server.js' }
    const filler = { ...tinyServer('x'), 'package.json': JSON.stringify({ name: 'filler', version: '1.0.0', private: true, scripts }) }
    const failed = await deploy('filler', filler)
    expect(failed).toMatchObject({ code: 1, result: { status: 'FAILED' } })
    expect((await getDeployment(platform, failed.result.deploymentId)).error).toMatchObject({
      message: expect.stringContaining('disk'),
      nextAction: expect.stringContaining('free'),
    })
    await until('the space is back', 10_000, async () => (await disk.freeBytes()) > before - 100 * megabyte)
    await until('all is well', 10_000, healthy)
    expect((await deploy('tiny', tinyServer('2'))).code).toBe(0)
    await stop()
  })

  test('by the output of an app: it is bounded', async () => {
    const flood = `setInterval(() => process.stdout.write('x'.repeat(1023).concat('\\n').repeat(2000)), 5)`
    const noisy = tinyServer('n', { extra: flood })
    const stop = visitor(platform)
    expect((await deploy('noisy', noisy)).code).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 30_000))
    expect(await healthy()).toBe(true)
    await stop()
    const { body } = await api<{ items: { id: string; slug: string; name: string }[] }>(platform, 'GET', '/projects')
    const project = body.items.find((item) => item.slug === 'noisy')
    await api(platform, 'DELETE', `/projects/${project?.id}`, { confirmName: project?.name })
  })

  test('from outside: apps keep answering, health and answers say "disk", the record stays true, and all is back 10 s after the cause ends', async () => {
    const before = await statuses()
    const stop = visitor(platform)
    const end = Date.now() + 30_000
    const taking = (async () => {
      // Again and again: what is given up inside is taken from outside as well.
      while (Date.now() < end) {
        await disk.fill(0)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    })()
    await until('health says "disk"', 10_000, async () => (await health())?.checks.disk === false)
    const refused = await deployByCli(platform, apps[0]?.directory ?? '', 'tiny').then(
      (answer) => answer.stderr + JSON.stringify(answer.result),
      (error: Error) => error.message,
    )
    expect(refused).toMatch(/disk/)
    await taking
    await disk.release()
    await until('all is well', 10_000, healthy)
    const after = await statuses()
    for (const [id, status] of before) expect(after.get(id)).toBe(status)
    expect((await deploy('tiny', tinyServer('3'))).code).toBe(0)
    await stop()
  })
})
