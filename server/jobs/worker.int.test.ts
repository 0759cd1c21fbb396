import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestDatabase } from '@/test/support/factory'
import { until } from '@/test/support/processes'
import { createChangeBus } from '../events/bus'
import { enqueue } from './queue'
import { startWorker } from './worker'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('a queued job is announced when its transaction commits, whoever wrote it, and once more when it is tried again', async () => {
  const bus = createChangeBus({ url: db.url, pool: db.pool, logger: pino({ level: 'silent' }) })
  const ended = new AbortController()
  const heard: (string | undefined)[] = []
  const reading = (async () => {
    for await (const change of bus.listen(({ kind }) => kind === 'job', ended.signal)) heard.push(change?.id)
  })()
  const client = await db.pool.connect()
  try {
    await until('the bus listens', 10_000, () => bus.isListening())
    await client.query('BEGIN')
    await enqueue(client, 'prune', { projectId: 'announced' })
    await bus.publish({ kind: 'job', id: 'before the commit', teamId: null, projectId: null })
    await until('a later notice is heard', 10_000, () => heard.includes('before the commit'))
    const job = { kind: 'prune' as const, payload: { projectId: 'by Prisma' }, maxAttempts: 1 }
    const { id } = await db.prisma.job.create({ data: job })
    await until('a job written by Prisma is heard', 10_000, () => heard.includes(String(id)))
    expect(heard.filter((one) => one !== undefined)).toEqual(['before the commit', String(id)])
    await client.query('COMMIT')
    await until('the committed job is heard', 10_000, () => heard.length === 4)
    await db.pool.query(`UPDATE "Job" SET "state" = 'running'`)
    await db.pool.query(`UPDATE "Job" SET "state" = 'queued' WHERE "id" = $1`, [id])
    await until('the job that is tried again is heard', 10_000, () => heard.length === 5)
    expect(heard.at(-1)).toBe(String(id))
  } finally {
    client.release()
    ended.abort()
    await reading
    await bus.close()
    await db.pool.query('DELETE FROM "Job"')
  }
})

test('while every slot of builds is taken, a crashed app is started again and old artifacts are removed at once', async () => {
  const logger = pino({ level: 'silent' })
  const bus = createChangeBus({ url: db.url, pool: db.pool, logger })
  let building = 0
  const done: string[] = []
  let finishBuilds = () => {}
  const built = new Promise<void>((resolve) => {
    finishBuilds = resolve
  })
  const worker = startWorker({
    pool: db.pool,
    bus,
    owner: 'm:1',
    logger,
    concurrency: { build: 2, release: 2, heal: 2, prune: 1, 'git-events': 1 },
    handlers: {
      release: async () => {},
      build: async () => {
        building++
        await built
      },
      heal: async ({ environmentId }) => void done.push(environmentId),
      prune: async ({ projectId }) => void done.push(projectId),
      'git-events': async ({ projectId }) => void done.push(projectId),
    },
  })
  try {
    for (const n of [1, 2, 3, 4]) await enqueue(db.pool, 'build', { deploymentId: `d${n}` })
    await until('both slots of builds are taken', 10_000, () => building === 2)
    for (const n of [1, 2, 3]) await enqueue(db.pool, 'heal', { environmentId: `e${n}` })
    await enqueue(db.pool, 'prune', { projectId: 'p' })
    await until('healing and pruning are done', 10_000, () => done.length === 4)
    expect(building).toBe(2)
    finishBuilds()
    await until('the other builds have their turn', 10_000, () => building === 4)
  } finally {
    finishBuilds()
    await worker.stop()
    await bus.close()
  }
})
