import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openTestDatabase } from '@/test/support/factory'
import { breakLeases, claim, enqueue, finish, renew } from './queue'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(() => db.pool.query('DELETE FROM "Job"'))

const expireLeases = () =>
  db.pool.query(`UPDATE "Job" SET "leaseExpiresAt" = (now() AT TIME ZONE 'utc') - interval '1 second' WHERE "state"='running'`)

test('a job is claimed once, however many workers ask at the same time', async () => {
  for (let i = 0; i < 5; i++) await enqueue(db.pool, 'prune', { projectId: `p${i}` })
  const claims = await Promise.all(Array.from({ length: 12 }, (_, i) => claim(db.pool, `m:${i}`)))
  const ids = claims.filter((c) => c !== null).map((c) => c.id)
  expect(ids).toHaveLength(5)
  expect(new Set(ids).size).toBe(5)
})

test('two jobs of one exclusive key never run at once, others pass them', async () => {
  await enqueue(db.pool, 'heal', { environmentId: 'e1' }, { exclusiveKey: 'k1' })
  await enqueue(db.pool, 'heal', { environmentId: 'e1' }, { exclusiveKey: 'k1' })
  await enqueue(db.pool, 'heal', { environmentId: 'e2' }, { exclusiveKey: 'k2' })
  const claims = await Promise.all(Array.from({ length: 6 }, (_, i) => claim(db.pool, `m:${i}`)))
  const taken = claims.flatMap((c, i) => (c ? [{ job: c, owner: `m:${i}` }] : []))
  expect(taken.map((t) => (t.job.payload as { environmentId: string }).environmentId).sort()).toEqual(['e1', 'e2'])
  const first = taken.find((t) => (t.job.payload as { environmentId: string }).environmentId === 'e1')
  if (!first) throw new Error('e1 was not claimed')
  await finish(db.pool, first.job, first.owner, {})
  expect((await claim(db.pool, 'm:x'))?.payload).toEqual({ environmentId: 'e1' })
})

test('a job whose worker fell silent is taken over, and the silent one cannot end it any more', async () => {
  await enqueue(db.pool, 'build', { deploymentId: 'd' })
  const first = await claim(db.pool, 'old:1')
  expect(first?.attempts).toBe(1)
  expect(await claim(db.pool, 'new:1')).toBeNull()
  await expireLeases()
  const second = await claim(db.pool, 'new:1')
  expect(second).toMatchObject({ id: first?.id, attempts: 2 })
  if (!first) throw new Error('nothing claimed')
  expect(await renew(db.pool, first.id, 'old:1')).toBe(false)
  await finish(db.pool, first, 'old:1', {})
  const { rows } = await db.pool.query('SELECT "state","leaseOwner" FROM "Job"')
  expect(rows).toEqual([{ state: 'running', leaseOwner: 'new:1' }])
})

test('breaking the leases of one machine leaves those of others alone', async () => {
  await enqueue(db.pool, 'prune', { projectId: 'a' })
  await enqueue(db.pool, 'prune', { projectId: 'b' })
  await claim(db.pool, 'here:1')
  await claim(db.pool, 'there:1')
  expect(await breakLeases(db.pool, 'here')).toBe(1)
  expect((await claim(db.pool, 'here:2'))?.payload).toEqual({ projectId: 'a' })
  expect(await claim(db.pool, 'here:2')).toBeNull()
})

test('a failed job is tried again until its attempts are used up, then kept as failed with its reason', async () => {
  await enqueue(db.pool, 'prune', { projectId: 'p' })
  for (const attempt of [1, 2]) {
    const job = await claim(db.pool, 'm:1')
    expect(job?.attempts).toBe(attempt)
    if (job) await finish(db.pool, job, 'm:1', { error: 'disk is full', retryInMs: -1000 })
  }
  expect(await claim(db.pool, 'm:1')).toBeNull()
  const { rows } = await db.pool.query('SELECT "state","lastError" FROM "Job"')
  expect(rows).toEqual([{ state: 'failed', lastError: 'disk is full' }])
})

test('a payload that does not fit its kind is refused before it is stored', async () => {
  await expect(enqueue(db.pool, 'build', {} as { deploymentId: string })).rejects.toThrow()
})

const deployOf = (team: string, n: number) =>
  enqueue(db.pool, 'build', { deploymentId: `${team}${n}` }, { fairKey: team, exclusiveKey: `environment:${team}${n}` })
const runNext = async (share = 3) => (await claim(db.pool, 'm:1', [{ kind: 'build', share }]))?.payload as { deploymentId: string } | undefined

test('teams take turns: one that queued later is served before the third deployment of one that queued first', async () => {
  for (const n of [1, 2, 3, 4, 5]) await deployOf('a', n)
  await deployOf('b', 1)
  expect([await runNext(), await runNext()].map((job) => job?.deploymentId)).toEqual(['a1', 'b1'])
})

test('a team leaves room for the others, and none idle where it is alone', async () => {
  for (const n of [1, 2, 3, 4]) await deployOf('a', n)
  for (const n of [1, 2, 3, 4]) expect(await runNext()).toEqual({ deploymentId: `a${n}` })
  await db.pool.query('DELETE FROM "Job"')
  await deployOf('b', 1)
  expect(await runNext()).toEqual({ deploymentId: 'b1' })
  for (const n of [1, 2, 3, 4]) await deployOf('a', n)
  for (const n of [1, 2, 3]) expect(await runNext()).toEqual({ deploymentId: `a${n}` })
  expect(await runNext()).toBeUndefined()
})

test('only jobs of the lanes that have room are claimed', async () => {
  await deployOf('a', 1)
  await enqueue(db.pool, 'heal', { environmentId: 'e1' })
  expect(await claim(db.pool, 'm:1', [{ kind: 'heal', share: 1 }])).toMatchObject({ kind: 'heal' })
  expect(await claim(db.pool, 'm:1', [{ kind: 'heal', share: 1 }])).toBeNull()
})
