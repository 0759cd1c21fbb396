import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AppError } from '@/shared/errors'
import { createMask } from '@/shared/node/mask'
import { createDeploymentRow, createProject, openTestDatabase } from '@/test/support/factory'
import { scopeTo } from '../database/scope'
import { type ChangeBus, createChangeBus } from '../events/bus'
import { createLogWriter } from './log-writer'
import { readLogs } from './logs'
import { DeploymentRecord, LeaseLost } from './record'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let bus: ChangeBus
const logger = pino({ level: 'silent' })
const mask = createMask({ KEY: 'hunter2' })
beforeAll(async () => {
  db = await openTestDatabase()
  bus = createChangeBus({ url: db.url, pool: db.pool, logger })
})
afterAll(async () => {
  await bus.close()
  await db.close()
})

async function begin(attempt = 1) {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner)
  const ids = { teamId: owner.teamId, projectId: owner.project.id, environmentId: owner.environment.id, deploymentId: deployment.id }
  const take = () => DeploymentRecord.take(scopeTo(db.prisma, owner), bus, ids, { owner: 'worker', attempt, mask }, 'release')
  const read = () => db.prisma.deployment.findUniqueOrThrow({ where: { id: deployment.id }, include: { steps: true } })
  return { owner, ids, take, read, deployment }
}

test('a worker that was overtaken writes nothing any more: no status, no step, no end', async () => {
  const { take, read } = await begin()
  const late = await take()
  await late.move('BUILDING')
  const step = await late.beginStep('build')
  const current = await take()
  await expect(late.move('DEPLOYING')).rejects.toBeInstanceOf(LeaseLost)
  await expect(late.beginStep('start')).rejects.toBeInstanceOf(LeaseLost)
  await expect(late.endStep(step, { status: 'done' })).rejects.toBeInstanceOf(LeaseLost)
  await expect(late.fail('FAILED', null)).rejects.toBeInstanceOf(LeaseLost)
  expect(await read()).toMatchObject({ status: 'BUILDING', steps: [{ name: 'build', status: 'running' }] })
  await current.interruptSteps()
  await current.move('DEPLOYING')
  expect(await read()).toMatchObject({ status: 'DEPLOYING', steps: [{ name: 'build', status: 'interrupted' }] })
})

test('a status moves only along the state table', async () => {
  const { take, read, ids } = await begin()
  const record = await take()
  await expect(record.move('ACTIVE')).rejects.toThrow('PENDING cannot become ACTIVE')
  await record.fail('FAILED', { code: 'ERR_BUILD', message: 'no' })
  await expect(record.move('BUILDING')).rejects.toThrow('FAILED cannot become BUILDING')
  expect(await read()).toMatchObject({ status: 'FAILED', error: { code: 'ERR_BUILD' } })
  const { deploymentId, environmentId, projectId } = ids
  expect(await db.prisma.event.findMany({ where: { projectId } })).toMatchObject([
    { kind: 'deployment.failed', payload: { deploymentId, environmentId, code: 'ERR_BUILD' } },
  ])
})

test('a step is recorded as running before its work begins, and as failed with its reason after', async () => {
  const { take, read } = await begin()
  const record = await take()
  await expect(
    record.step('health', async () => {
      expect((await read()).steps).toMatchObject([{ name: 'health', status: 'running' }])
      throw new AppError('ERR_HEALTH_CHECK', 'connection refused')
    }),
  ).rejects.toThrow('connection refused')
  expect((await read()).steps).toMatchObject([{ name: 'health', status: 'failed', detail: 'connection refused' }])
})

test('nothing written about a deployment holds a secret: no detail of a step, no field of its error, no line of its log', async () => {
  const { ids, take, read, deployment } = await begin()
  const record = await take()
  const step = await record.beginStep('build')
  await record.endStep(step, { status: 'failed', detail: 'login with hunter2 refused' })
  await expect(record.step('start', () => Promise.reject(new AppError('ERR_START', 'hunter2 is wrong')))).rejects.toThrow()
  await expect(record.step('health', () => Promise.reject(new Error('Invalid regular expression: /hunter2|…/')))).rejects.toThrow()
  const writer = createLogWriter({ pool: db.pool, bus, logger, ids, mask })
  writer.write({ step: 'build', stream: 'system', text: 'Failed: hunter2' })
  await writer.flush()
  await record.fail('FAILED', { code: 'ERR_BUILD', message: 'hunter2', nextAction: 'forget hunter2', stillServing: 'hunter2' })
  const lines = await db.prisma.logLine.findMany({ where: { deploymentId: deployment.id } })
  expect(lines.map((line) => line.text)).toEqual(['Failed: [secret KEY]'])
  const row = await read()
  expect(JSON.stringify([row.error, row.steps.map(({ detail }) => detail)])).not.toContain('hunter2')
  expect(row.steps.map(({ detail }) => detail)).toEqual(['login with [secret KEY] refused', '[secret KEY] is wrong', 'an error inside Switchyard'])
})

test('when lines come faster than they can be stored, the last ones are kept', async () => {
  const { ids, deployment } = await begin()
  const writer = createLogWriter({ pool: db.pool, bus, logger, ids, mask })
  for (let i = 0; i < 25_000; i++) writer.write({ step: 'build', stream: 'stdout', text: `line ${i}` })
  await writer.flush()
  const [first, ...rest] = await db.prisma.logLine.findMany({ where: { deploymentId: deployment.id }, orderBy: { id: 'asc' } })
  expect(first?.text).toMatch(/^\d+ lines were dropped here/)
  expect(rest.at(-1)?.text).toBe('line 24999')
  expect(rest).toHaveLength(25_000 - Number.parseInt(first?.text ?? '', 10))
})

test('two switches of one environment at a time are refused by the database itself; builds beside a switch are not', async () => {
  const { owner, take } = await begin()
  const record = await take()
  await record.move('DEPLOYING')
  await createDeploymentRow(db.prisma, owner, { status: 'BUILDING' })
  await expect(createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })).rejects.toThrow(/[Uu]nique/)
})

test('a build and a switch of one environment do not fence each other off', async () => {
  const { owner, take } = await begin()
  const other = await createDeploymentRow(db.prisma, owner)
  const ids = { teamId: owner.teamId, projectId: owner.project.id, environmentId: owner.environment.id, deploymentId: other.id }
  const build = await DeploymentRecord.take(scopeTo(db.prisma, owner), bus, ids, { owner: 'builder', attempt: 1, mask }, 'build')
  const release = await take()
  await build.move('BUILDING')
  await release.move('DEPLOYING')
  await build.beginStep('build')
  await release.beginStep('start')
})

test('a followed log gives every line once and in order, also those written while it is read, and ends with the deployment', async () => {
  const { owner, ids, take, deployment } = await begin()
  const record = await take()
  await record.move('BUILDING')
  const writer = createLogWriter({ pool: db.pool, bus, logger, ids, mask })
  for (let i = 0; i < 1500; i++) writer.write({ step: 'build', stream: 'stdout', text: `line ${i}` })
  await writer.flush()
  const actor = { kind: 'user', id: 'u', name: 'u', teamId: owner.teamId, role: 'member', operator: false } as const
  const seen: string[] = []
  let position = ''
  for await (const line of readLogs({ prisma: db.prisma, bus }, actor, deployment.id, { follow: true, signal: new AbortController().signal })) {
    seen.push(line.text)
    position = line.id
    if (seen.length === 1500) {
      writer.write({ step: 'build', stream: 'stderr', text: 'nul \0 byte' })
      writer.write({ step: 'build', stream: 'stdout', text: 'x'.repeat(100_000) })
      void writer.flush().then(() => record.fail('FAILED', null))
    }
  }
  expect(seen.slice(0, 1500)).toEqual(Array.from({ length: 1500 }, (_, i) => `line ${i}`))
  expect(seen[1500]).toBe('nul \uFFFD byte')
  expect(seen[1501]?.length).toBeLessThanOrEqual(8192)
  expect(seen).toHaveLength(1502)
  const rest: string[] = []
  const after = String(BigInt(position) - 2n)
  for await (const line of readLogs({ prisma: db.prisma, bus }, actor, deployment.id, { after, follow: true, signal: new AbortController().signal }))
    rest.push(line.id)
  expect(rest).toEqual([String(BigInt(position) - 1n), position])
  const stranger = { ...actor, teamId: (await createProject(db.prisma)).teamId }
  const foreign = readLogs({ prisma: db.prisma, bus }, stranger, deployment.id, { follow: false, signal: new AbortController().signal })
  await expect(foreign.next()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
})
