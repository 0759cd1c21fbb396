import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './support/database'
import { type RunningPlatform, startPlatform } from './support/platform'
import { until } from './support/processes'

let database: TestDatabase
let platform: RunningPlatform

beforeAll(async () => {
  database = await createTestDatabase()
  platform = await startPlatform({ runtime: 'process', databaseUrl: database.url, env: { EDGE_WORKERS: '2' } })
}, 180_000)
afterAll(async () => {
  await platform?.stop()
  await database?.drop()
}, 90_000)

test('the built platform is ready with a router a worker, an edge that answers, and a usable key', async () => {
  const pids = await platform.pids()
  expect(pids.supervisor).toHaveLength(1)
  expect(pids.control).toHaveLength(1)
  expect(pids.router).toHaveLength(2)
  expect((await platform.visit('nobody.localhost')).status).toBe(404)
  const projects = `${platform.url}/api/v1/projects`
  expect((await fetch(projects)).status).toBe(401)
  expect((await fetch(projects, { headers: { authorization: `Bearer ${platform.apiKey}` } })).status).toBe(200)
})

test('routers answer while the control process is dead, and it comes back by itself', async () => {
  const before = await platform.pids()
  await platform.kill('control')
  expect((await platform.visit('nobody.localhost')).status).toBe(404)
  await platform.ready()
  const after = await until('a new control process', 30_000, async () => {
    const now = await platform.pids()
    return now.control.length === 1 && now.control[0] !== before.control[0] && now
  })
  expect(after.router).toEqual(before.router)
})

test('a killed router is replaced, and the edge goes on answering', async () => {
  const [killed] = (await platform.pids()).router
  process.kill(killed as number, 'SIGKILL')
  await until('a new router', 30_000, async () => {
    const { router } = await platform.pids()
    return router.length === 2 && !router.includes(killed as number)
  })
  await until('the edge answers', 10_000, async () => (await platform.visit('nobody.localhost').catch(() => undefined))?.status === 404)
})

test('SIGTERM ends every process, and a start on the same home works again', async () => {
  await platform.stop({ keep: true })
  expect(existsSync(platform.home)).toBe(true)
  await platform.restart()
  expect((await platform.visit('nobody.localhost')).status).toBe(404)
})
