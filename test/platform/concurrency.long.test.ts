import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packFolder } from '@/cli/pack'
import type { InstanceView } from '@/shared/views'
import { api, deploymentThat, folder, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'

const projects = Array.from({ length: 25 }, (_, n) => `app-${n}`)

describe('many deployments at once', () => {
  let platform: RunningPlatform
  let app: Awaited<ReturnType<typeof folder>>
  beforeAll(async () => {
    platform = await startPlatform({ runtime: 'process' })
    app = await folder(tinyServer('1'))
  })
  afterAll(async () => {
    await app?.remove()
    await platform?.stop()
  })

  async function must<T>(method: string, route: string, body?: object): Promise<T> {
    const answer = await api<T>(platform, method, route, body)
    if (answer.status >= 300) throw new Error(`${method} ${route}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  test('50 deployments of 25 projects end live, each at its own hostname, with one instance each and none besides', async () => {
    const source = (await upload()).source
    for (const name of projects) {
      await must('POST', '/projects', { name })
      await must('POST', `/projects/${name}/environments`, { name: 'staging' })
    }
    const wanted = projects.flatMap((projectId) => [
      { projectId, source },
      { projectId, source, environment: 'staging' },
    ])
    const created = await Promise.all(wanted.map((body) => must<{ deploymentId: string }>('POST', '/deployments', body)))
    const ended = await Promise.all(
      created.map(({ deploymentId }) =>
        deploymentThat(platform, deploymentId, 'has ended', (d) => ['ACTIVE', 'FAILED', 'CANCELED'].includes(d.status), 1_200_000),
      ),
    )
    expect(ended.filter(({ status }) => status !== 'ACTIVE').map(({ id, status, error }) => ({ id, status, error }))).toEqual([])
    for (const name of projects) {
      expect((await platform.visit(`${name}.localhost`)).body).toContain('version 1')
      expect((await platform.visit(`${name}-staging.localhost`)).body).toContain('version 1')
      const { items } = await must<{ items: InstanceView[] }>('GET', `/projects/${name}/instances`)
      expect(items.filter(({ state }) => state !== 'stopped').map(({ state }) => state)).toEqual(['healthy', 'healthy'])
    }
  })

  /** The folder as an archive, as the CLI sends it. */
  async function upload(): Promise<{ source: string }> {
    const packed = await packFolder(app.directory, new AbortController().signal)
    const answer = await fetch(`${platform.url}/api/v1/sources`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform.apiKey}`, 'content-type': 'application/gzip' },
      body: await readFile(packed.file),
    })
    await packed.dispose()
    if (!answer.ok) throw new Error(`upload: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { source: string }
  }
})
