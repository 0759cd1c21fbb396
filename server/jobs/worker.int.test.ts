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
    concurrency: { deploy: 2, heal: 2, prune: 1 },
    handlers: {
      deploy: async () => {
        building++
        await built
      },
      heal: async ({ environmentId }) => void done.push(environmentId),
      prune: async ({ projectId }) => void done.push(projectId),
    },
  })
  try {
    for (const n of [1, 2, 3, 4]) await enqueue(db.pool, 'deploy', { deploymentId: `d${n}` })
    worker.wake()
    await until('both slots of builds are taken', 10_000, () => building === 2)
    for (const n of [1, 2, 3]) await enqueue(db.pool, 'heal', { environmentId: `e${n}` })
    await enqueue(db.pool, 'prune', { projectId: 'p' })
    worker.wake()
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
