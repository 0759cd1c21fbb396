import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import { type CertificateStage, createCertificateStage } from '@/test/support/certificates'
import { openTestDatabase } from '@/test/support/factory'
import { type Pebble, startPebble } from '@/test/support/pebble'
import { until } from '@/test/support/processes'
import { scopeTo } from '../database/scope'
import { openDnsProvider } from './dns'
import { forgetEndedKept, keepCertificates } from './kept'
import { firstsPerWeek, firstsWindowMs } from './schedule'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let stage: CertificateStage
let pebble: Pebble
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  await db.pool.query('TRUNCATE "Team", "CertificateTry", "AcmeAccount" CASCADE')
  stage = await createCertificateStage(db)
  pebble = await startPebble({ httpPort: stage.responder.httpPort, tlsPort: stage.responder.tlsPort })
})
afterEach(async () => {
  await stage.close()
  await pebble.stop()
})

const ca = () => ({ production: [{ directory: pebble.directory, binding: null }], caFile: pebble.caFile, dnsServers: [pebble.dnsServer] })
const certificateOf = (domainId: string) => db.prisma.certificate.findFirst({ where: { domainId } })
const reached = (domainId: string, state: string) =>
  until(`the certificate is ${state}`, 20_000, async () => (await certificateOf(domainId))?.state === state)
/** As a person removes it. */
const remove = (domainId: string) =>
  scopeTo(db.prisma, stage).$transaction(async (tx) => {
    await keepCertificates(tx, stage.teamId, domainId)
    await tx.domain.deleteMany({ where: { id: domainId } })
  })

async function domainOfAnotherTeam(hostname: string): Promise<string> {
  const [teamId, projectId, environmentId, id] = [newId(), newId(), newId(), newId()]
  await db.prisma.team.create({ data: { id: teamId, name: 'Other', slug: `team-${teamId}`, dataKey: stage.secrets.createDataKey(teamId) } })
  await db.prisma.project.create({ data: { id: projectId, teamId, name: 'app', slug: `app-${projectId}` } })
  await db.prisma.environment.create({ data: { id: environmentId, teamId, projectId, name: 'production', kind: 'PRODUCTION' } })
  await db.prisma.domain.create({ data: { id, teamId, projectId, environmentId, hostname, token: newId(), state: 'verified' } })
  return id
}

describe('a domain that comes back', () => {
  test('takes up the certificate it had, which the routers get again, and no CA is asked', async () => {
    const supplied: string[] = []
    const changed = async (row: { id: string }, yes: boolean) => {
      if (yes) supplied.push(row.id)
    }
    const first = await stage.addDomain('back.example.test')
    const scheduler = await stage.start({ ...ca(), changed })
    await reached(first.id, 'active')
    const before = await certificateOf(first.id)
    await remove(first.id)
    expect(await db.prisma.certificate.count()).toBe(0)
    const again = await stage.addDomain('back.example.test')
    scheduler.wake()
    await reached(again.id, 'active')
    const { serial, chainPem, keyCiphertext, notAfter, nextAttemptAt, names } = before ?? {}
    expect(await certificateOf(again.id)).toMatchObject({ serial, chainPem, keyCiphertext, notAfter, nextAttemptAt, names })
    await until('the routers are told', 10_000, () => supplied.includes(`acme-${again.id}`))
    expect([pebble.ordersAsked(), await db.prisma.keptCertificate.count()]).toEqual([1, 0])
  })

  test('of another team, or at another CA than now, asks anew; what has ended is forgotten', async () => {
    const { id } = await stage.addDomain('other.example.test')
    const scheduler = await stage.start(ca())
    await reached(id, 'active')
    await remove(id)
    const theirs = await domainOfAnotherTeam('other.example.test')
    scheduler.wake()
    await reached(theirs, 'active')
    expect([pebble.ordersAsked(), await db.prisma.keptCertificate.count()]).toEqual([2, 1])
    await db.prisma.domain.deleteMany({ where: { id: theirs } })
    await db.prisma.keptCertificate.updateMany({ data: { directory: 'https://elsewhere.test/dir' } })
    const anew = await stage.addDomain('other.example.test')
    scheduler.wake()
    await reached(anew.id, 'active')
    expect([pebble.ordersAsked(), await db.prisma.keptCertificate.count()]).toEqual([3, 1])
    await forgetEndedKept(db.pool, Date.now() + 10 * 365 * 86_400_000)
    expect(await db.prisma.keptCertificate.count()).toBe(0)
  })

  test('without its certificate is asked for few times in a week, then waits and says why', async () => {
    const scheduler = await stage.start(ca())
    for (let i = 0; i < firstsPerWeek; i++) {
      const { id } = await stage.addDomain('again.example.test')
      scheduler.wake()
      await reached(id, 'active')
      await db.prisma.domain.deleteMany({ where: { id } })
    }
    const { id } = await stage.addDomain('again.example.test')
    scheduler.wake()
    await reached(id, 'failed')
    const row = await certificateOf(id)
    expect(row?.problem).toMatchObject({
      code: 'ERR_RATE_LIMITED',
      message: expect.stringContaining('again.example.test'),
      retryAfterSeconds: expect.any(Number),
    })
    expect((row?.nextAttemptAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(firstsWindowMs - 600_000)
    expect(pebble.ordersAsked()).toBe(firstsPerWeek)
  })
})

test('a DNS provider whose credentials cannot be read fails its own domain, with the reason, and makes no CA seem dark to others', async () => {
  const broken = await stage.addDomain('*.broken.test', { dnsProviderId: await stage.addProvider() })
  await stage.start({ ...ca(), openProvider: openDnsProvider as never })
  await reached(broken.id, 'failed')
  expect(await certificateOf(broken.id)).toMatchObject({
    attempts: 1,
    problem: {
      code: 'ERR_INTERNAL',
      message: expect.stringContaining('credentials'),
      nextAction: 'Enter them again.',
      retryAfterSeconds: expect.any(Number),
    },
  })
})
