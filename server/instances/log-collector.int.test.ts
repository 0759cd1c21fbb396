import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { InstanceLogLine } from '@/runtime/driver'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { createLogCollector } from './log-collector'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

type Deps = Parameters<typeof createLogCollector>[0]

/** Collects the output `lines` of an instance whose release has `variables`; returns the stored texts. */
async function collect(variables: Record<string, string>, lines: Pick<InstanceLogLine, 'stream' | 'text' | 'cut'>[]): Promise<string[]> {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner)
  const { instance } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 4000 })
  const runtime = {
    async *logs() {
      for (const [at, line] of lines.entries()) yield { ...line, at: new Date(), cursor: String(at) }
    },
  }
  const collector = createLogCollector({
    prisma: db.prisma,
    pool: db.pool,
    runtime: runtime as unknown as Deps['runtime'],
    secrets: { open: async () => JSON.stringify(variables) },
    bus: { publish: async () => {} } as unknown as Deps['bus'],
    logger: pino({ level: 'silent' }),
  })
  collector.follow(instance)
  await collector.finish(instance.id)
  await collector.stop()
  const stored = await db.prisma.logLine.findMany({ where: { instanceId: instance.id }, orderBy: { id: 'asc' } })
  return stored.map((line) => line.text)
}

test('what an app prints is stored without the values of its variables, also where a line is cut inside one', async () => {
  const texts = await collect({ TOKEN: 'token-4711-abcdef', PEM: 'first-line-of-key\nsecond-line-of-key' }, [
    { stream: 'stdout', text: 'using token-4711-abcdef' },
    { stream: 'stderr', text: 'second-line-of-key' },
    { stream: 'stdout', text: `${'x'.repeat(8180)}token-4711`, cut: 'continued' },
    { stream: 'stderr', text: '-abcdef is another stream' },
    { stream: 'stdout', text: '-abcdef is gone' },
    { stream: 'stdout', text: `${'y'.repeat(8180)}token-4711`, cut: 'dropped' },
    { stream: 'stdout', text: '-another line' },
  ])
  expect(texts).toEqual([
    'using [secret TOKEN]',
    '[secret PEM]',
    `${'x'.repeat(8180)}[secret TOKEN]`.slice(0, 8191) + '…',
    '-abcdef is another stream',
    '[secret TOKEN] is gone',
    `${'y'.repeat(8180)}[secret TOKEN]`.slice(0, 8191) + '…',
    '-another line',
  ])
})
