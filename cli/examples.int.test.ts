import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { type CliTarget, root, runCli } from './testing/run-cli'

interface Expectation {
  path: string
  status: number
  headers?: Record<string, string>
  contains?: string[]
}
interface Example extends Expectation {
  name: string
  runtimes: ('docker' | 'process')[]
  framework: string
  also: Expectation[]
}

const folder = path.join(root, 'examples')
const examples = readdirSync(folder)
  .filter((name) => existsSync(path.join(folder, name, 'test.json')))
  .map((name) => ({ ...(JSON.parse(readFileSync(path.join(folder, name, 'test.json'), 'utf8')) as Example), folder: path.join(folder, name) }))

for (const runtime of ['process', 'docker'] as const)
  describe(`examples on the ${runtime} runtime`, () => {
    let platform: RunningPlatform
    let target: CliTarget

    beforeAll(async () => {
      platform = await startPlatform({ runtime })
      target = { api: platform.url, token: platform.apiKey, config: await mkdtemp(path.join(tmpdir(), 'switchyard-cli-config-')) }
    }, 180_000)
    afterAll(async () => {
      await platform?.stop()
      if (target) await rm(target.config, { recursive: true, force: true })
    }, 120_000)

    it.each(examples.filter((example) => example.runtimes.includes(runtime)))(
      'examples/$name goes live by one command and shows what its test.json says',
      async (example) => {
        const run = await runCli(target, ['deploy', example.folder, '--project', example.name, '--json'])
        expect(run.code, run.stderr).toBe(0)
        expect(run.last).toMatchObject({ status: 'ACTIVE', framework: example.framework, timings: { total: expect.any(Number) } })
        const { hostname } = new URL(String(run.last.url))
        for (const expected of [example, ...example.also]) await expectVisit(platform, hostname, expected)
      },
      300_000,
    )
  })

async function expectVisit(platform: RunningPlatform, hostname: string, expected: Expectation): Promise<void> {
  const visit = await platform.visit(hostname, expected.path)
  expect(visit.status, `${hostname}${expected.path}`).toBe(expected.status)
  for (const [name, value] of Object.entries(expected.headers ?? {})) expect(visit.headers[name], expected.path).toContain(value)
  for (const text of expected.contains ?? []) expect(visit.body, expected.path).toContain(text)
}
