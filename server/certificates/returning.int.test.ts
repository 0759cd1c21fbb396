import { describe, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import { certificateWorld } from '@/test/support/certificate-world'
import { until } from '@/test/support/processes'
import { scopeTo } from '../database/scope'
import { openDnsProvider } from './dns'
import { forgetEndedKept, keepCertificates } from './kept'
import { firstsPerWeek, firstsWindowMs } from './schedule'

const world = certificateWorld()
const { ca, certificateOf, reached } = world
/** As a person removes it. */
const remove = (domainId: string) =>
  scopeTo(world.db.prisma, world.stage).$transaction(async (tx) => {
    await keepCertificates(tx, world.stage.teamId, domainId)
    await tx.domain.deleteMany({ where: { id: domainId } })
  })

async function domainOfAnotherTeam(hostname: string): Promise<string> {
  const [teamId, projectId, environmentId, id] = [newId(), newId(), newId(), newId()]
  await world.db.prisma.team.create({
    data: { id: teamId, name: 'Other', slug: `team-${teamId}`, dataKey: world.stage.secrets.createDataKey(teamId) },
  })
  await world.db.prisma.project.create({ data: { id: projectId, teamId, name: 'app', slug: `app-${projectId}` } })
  await world.db.prisma.environment.create({
    data: { id: environmentId, teamId, projectId, name: 'production', kind: 'PRODUCTION', slug: `env-${environmentId}` },
  })
  await world.db.prisma.domain.create({ data: { id, teamId, projectId, environmentId, hostname, token: newId(), state: 'verified' } })
  return id
}

describe('a domain that comes back', () => {
  test('takes up the certificate it had, which the routers get again, and no CA is asked', async () => {
    const supplied: string[] = []
    const changed = async (row: { id: string }, yes: boolean) => {
      if (yes) supplied.push(row.id)
    }
    const first = await world.stage.addDomain('back.example.test')
    const scheduler = await world.stage.start({ ...ca(), changed })
    await reached(first.id, 'active')
    const before = await certificateOf(first.id)
    await remove(first.id)
    expect(await world.db.prisma.certificate.count()).toBe(0)
    const again = await world.stage.addDomain('back.example.test')
    scheduler.wake()
    await reached(again.id, 'active')
    const { serial, chainPem, keyCiphertext, notAfter, nextAttemptAt, names } = before ?? {}
    expect(await certificateOf(again.id)).toMatchObject({ serial, chainPem, keyCiphertext, notAfter, nextAttemptAt, names })
    await until('the routers are told', 10_000, () => supplied.includes(`acme-${again.id}`))
    expect([world.pebble.ordersAsked(), await world.db.prisma.keptCertificate.count()]).toEqual([1, 0])
  })

  test('of another team, or at another CA than now, asks anew; what has ended is forgotten', async () => {
    const { id } = await world.stage.addDomain('other.example.test')
    const scheduler = await world.stage.start(ca())
    await reached(id, 'active')
    await remove(id)
    const theirs = await domainOfAnotherTeam('other.example.test')
    scheduler.wake()
    await reached(theirs, 'active')
    expect([world.pebble.ordersAsked(), await world.db.prisma.keptCertificate.count()]).toEqual([2, 1])
    await world.db.prisma.domain.deleteMany({ where: { id: theirs } })
    await world.db.prisma.keptCertificate.updateMany({ data: { directory: 'https://elsewhere.test/dir' } })
    const anew = await world.stage.addDomain('other.example.test')
    scheduler.wake()
    await reached(anew.id, 'active')
    expect([world.pebble.ordersAsked(), await world.db.prisma.keptCertificate.count()]).toEqual([3, 1])
    await forgetEndedKept(world.db.pool, Date.now() + 10 * 365 * 86_400_000)
    expect(await world.db.prisma.keptCertificate.count()).toBe(0)
  })

  test('without its certificate is asked for few times in a week, then waits and says why', async () => {
    const scheduler = await world.stage.start(ca())
    for (let i = 0; i < firstsPerWeek; i++) {
      const { id } = await world.stage.addDomain('again.example.test')
      scheduler.wake()
      await reached(id, 'active')
      await world.db.prisma.domain.deleteMany({ where: { id } })
    }
    const { id } = await world.stage.addDomain('again.example.test')
    scheduler.wake()
    await reached(id, 'failed')
    const row = await certificateOf(id)
    expect(row?.problem).toMatchObject({
      code: 'ERR_RATE_LIMITED',
      message: expect.stringContaining('again.example.test'),
      retryAfterSeconds: expect.any(Number),
    })
    expect((row?.nextAttemptAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(firstsWindowMs - 600_000)
    expect(world.pebble.ordersAsked()).toBe(firstsPerWeek)
  })
})

test('a DNS provider whose credentials cannot be read fails its own domain, with the reason, and makes no CA seem dark to others', async () => {
  const broken = await world.stage.addDomain('*.broken.test', { dnsProviderId: await world.stage.addProvider() })
  await world.stage.start({ ...ca(), openProvider: openDnsProvider as never })
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
