import { describe, expect, test } from 'vitest'
import { certificateWorld } from '@/test/support/certificate-world'
import type { StageOptions } from '@/test/support/certificates'
import { type DarkProxy, startDarkProxy } from '@/test/support/dark-proxy'
import type { Pebble } from '@/test/support/pebble'
import { until } from '@/test/support/processes'
import { precheckStep } from './attempt'
import { breakLeases, claim, createMissing, domainReady, fairShare } from './record'

const world = certificateWorld()
const { again, certificateOf, reached, startCa, tries } = world

async function proxyOf(ca: Pebble): Promise<DarkProxy & { authority: { directory: string; binding: null } }> {
  const proxy = world.keep(await startDarkProxy(ca.port))
  return { ...proxy, authority: { directory: `https://localhost:${proxy.port}/dir`, binding: null } }
}
const authority = (ca: Pebble) => ({ directory: ca.directory, binding: null })
const start = (options: Partial<StageOptions> = {}) =>
  world.stage.start({ production: [authority(world.pebble)], caFile: world.pebble.caFile, ...options })

describe('what is asked of which CA', () => {
  test('the staging CA first, once; what fails there never reaches production', async () => {
    const staging = await startCa()
    const { id } = await world.stage.addDomain('first.example.test')
    world.stage.responder.deaf = true
    const scheduler = await start({ staging: authority(staging), caFile: [world.pebble.caFile, staging.caFile] })
    await reached(id, 'failed')
    expect((await tries()).map((one) => [one.directory, one.succeeded])).toEqual([[staging.directory, false]])
    expect(world.pebble.ordersAsked()).toBe(0)
    world.stage.responder.deaf = false
    await again(scheduler, id)
    await reached(id, 'active')
    expect((await tries()).map((one) => [one.directory, one.succeeded])).toEqual([
      [staging.directory, false],
      [staging.directory, true],
      [world.pebble.directory, true],
    ])
    await again(scheduler, id)
    await until('it is renewed', 60_000, async () => (await tries()).length === 4 && (await certificateOf(id))?.state === 'active')
    expect((await tries()).at(-1)?.directory).toBe(world.pebble.directory)
  })

  test('a second CA when the first is dark, or refuses by its policy', async () => {
    const second = await startCa()
    const refusing = await startCa({ blocked: ['blocked.example.test'] })
    const dark = await proxyOf(world.pebble)
    await dark.set('refuse')
    const a = await world.stage.addDomain('a.example.test')
    const caFile = [world.pebble.caFile, second.caFile, refusing.caFile]
    const first = await start({ production: [dark.authority, authority(second)], caFile })
    await reached(a.id, 'active')
    expect(await certificateOf(a.id)).toMatchObject({ directory: second.directory })
    await first.stop()
    const b = await world.stage.addDomain('blocked.example.test')
    await start({ production: [authority(refusing), authority(second)], caFile })
    await reached(b.id, 'active')
    expect((await tries()).filter((one) => one.name === 'blocked.example.test').map((one) => one.succeeded)).toEqual([false, true])
  })

  test('not the second CA, when the fault is the domain’s own', async () => {
    const second = await startCa()
    world.stage.responder.deaf = true
    const { id } = await world.stage.addDomain('wrong.example.test')
    await start({ production: [authority(world.pebble), authority(second)], caFile: [world.pebble.caFile, second.caFile] })
    await reached(id, 'failed')
    expect(second.ordersAsked()).toBe(0)
  })
})

describe('nothing is asked', () => {
  test('before the checks of the domain pass, and at once when they do', async () => {
    let ready = false
    const { id } = await world.stage.addDomain('early.example.test')
    const problem = { code: 'ERR_INVALID_INPUT', message: 'The A record is missing.', step: 'dns' } as const
    const scheduler = await start({ precheck: async () => (ready ? null : problem) })
    await reached(id, 'failed')
    expect((await certificateOf(id))?.problem).toMatchObject({ message: 'The A record is missing.', step: precheckStep })
    expect([world.pebble.ordersAsked(), await tries()]).toEqual([0, []])
    ready = true
    expect(await domainReady(world.db.pool, id, precheckStep, Date.now())).toBe(true)
    scheduler.wake()
    await reached(id, 'active')
    const events = await world.db.prisma.event.findMany({ where: { payload: { path: ['domainId'], equals: id } }, orderBy: { id: 'asc' } })
    expect(events.map(({ kind, payload }) => [kind, payload])).toMatchObject([
      ['certificate.failed', { domainId: id, hostname: 'early.example.test', code: 'ERR_INVALID_INPUT', step: precheckStep }],
      ['certificate.issued', { domainId: id, notAfter: (await certificateOf(id))?.notAfter?.toISOString() }],
    ])
  })

  test('for a domain that is not verified', async () => {
    await world.stage.addDomain('unverified.example.test', { state: 'unverified' })
    const { id } = await world.stage.addDomain('verified.example.test')
    await start()
    await reached(id, 'active')
    expect(await world.db.prisma.certificate.count()).toBe(1)
  })

  test('while no router could answer', async () => {
    let routers = 0
    const { id } = await world.stage.addDomain('alone.example.test')
    const scheduler = await start({ routers: () => routers })
    await until('it says why', 60_000, async () => JSON.stringify((await certificateOf(id))?.problem ?? '').includes('No router is connected'))
    expect(world.pebble.ordersAsked()).toBe(0)
    routers = 1
    await again(scheduler, id)
    await reached(id, 'active')
  })

  test('a sixth time within the hour, whatever restarts and presses the button meanwhile', async () => {
    world.stage.responder.deaf = true
    const { id } = await world.stage.addDomain('vain.example.test')
    for (let i = 1; i <= 5; i++) {
      const scheduler = await start()
      await again(scheduler, id)
      await until(`ask ${i} failed`, 60_000, async () => (await tries()).filter((one) => one.succeeded === false).length >= i)
      await scheduler.stop()
    }
    const first = (await tries())[0]?.startedAt.getTime() ?? 0
    const scheduler = await start()
    await again(scheduler, id)
    await until('it is put off', 60_000, async () => ((await certificateOf(id))?.nextAttemptAt?.getTime() ?? 0) >= first + 3_600_000)
    expect(world.pebble.ordersAsked()).toBe(5)
    // The bound outlives the certificate: removing and adding the domain again is no way around it.
    await world.db.prisma.domain.deleteMany({ where: { id } })
    const anew = await world.stage.addDomain('vain.example.test')
    scheduler.wake()
    await until('it is put off again', 60_000, async () => ((await certificateOf(anew.id))?.nextAttemptAt?.getTime() ?? 0) >= first + 3_600_000)
    expect(world.pebble.ordersAsked()).toBe(5)
  })
})

test('an attempt that breaks off inside this installation says so, and is made again', async () => {
  let broken = true
  const precheck = async () => {
    if (broken) throw new TypeError('nobody expected this')
    return null
  }
  const { id } = await world.stage.addDomain('broken.example.test')
  const scheduler = await start({ precheck })
  await reached(id, 'failed')
  expect((await certificateOf(id))?.problem).toMatchObject({ code: 'ERR_INTERNAL', message: expect.not.stringContaining('nobody expected') })
  broken = false
  await again(scheduler, id)
  await reached(id, 'active')
})

test('a team with many orders under way leaves the next place to others', async () => {
  const { prisma, pool } = world.db
  const mine = await Promise.all(Array.from({ length: 8 }, (_, i) => world.stage.addDomain(`many${i}.example.test`)))
  const { id } = await world.stage.addDomain('other.example.test')
  await prisma.domain.update({ where: { id }, data: { teamId: 'another' } })
  await createMissing(pool, Date.now() - 60_000)
  await prisma.certificate.updateMany({ where: { domainId: id }, data: { nextAttemptAt: new Date() } })
  const claimed: (string | undefined)[] = []
  for (let i = 0; i < 10; i++) claimed.push((await claim({ pool, prisma }, 'test', Date.now()))?.domainId)
  expect(claimed.indexOf(id)).toBe(fairShare)
  expect(new Set(claimed)).toEqual(new Set([...mine.map((one) => one.id), id, undefined]))
})

describe('one order per name', () => {
  test('with two control planes at work', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, async (_, i) => (await world.stage.addDomain(`n${i}.example.test`)).id))
    await Promise.all([start(), start(), start()])
    for (const id of ids) await reached(id, 'active')
    expect(await tries()).toHaveLength(12)
    expect(world.pebble.ordersAsked()).toBe(12)
  })

  test('is gone on with by the next process when the first died in the middle of it; what the dead one writes late is lost', async () => {
    const { id } = await world.stage.addDomain('crash.example.test')
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let asked = 0
    world.stage.responder.onQuestion = async () => {
      asked++
      await held
    }
    const life = { dead: false }
    await start({ owner: 'machine:dead', life })
    await until('the CA looks', 60_000, () => asked > 0)
    const before = await certificateOf(id)
    expect(before).toMatchObject({ state: 'issuing', orderUrl: expect.any(String) })
    life.dead = true
    await breakLeases(world.db.pool, 'machine')
    await start({ owner: 'machine:next' })
    // The CA waits for an answer no longer than some 12 s.
    const patience = setTimeout(release, 5_000)
    await until('the next one holds it, or has ended it', 60_000, async () => {
      const row = await certificateOf(id)
      return row?.leaseOwner?.startsWith('machine:next') === true || row?.state === 'active'
    })
    clearTimeout(patience)
    release()
    await reached(id, 'active')
    expect(await tries()).toMatchObject([{ succeeded: true }])
    expect(world.pebble.ordersAsked()).toBe(1)
    await world.stage.board.clean()
    expect(world.stage.responder.current()).toEqual({ http: {}, alpn: {} })
  })

  test('is gone on with when the CA was lost in the middle of it, which costs no ask', async () => {
    const proxy = await proxyOf(world.pebble)
    const { id } = await world.stage.addDomain('lost.example.test')
    let lost = false
    world.stage.responder.onQuestion = async () => {
      if (!lost) await proxy.set('refuse')
      lost = true
    }
    await start({ production: [proxy.authority] })
    await until('it says that the CA is silent', 60_000, async () =>
      JSON.stringify((await certificateOf(id))?.problem ?? '').includes('does not answer'),
    )
    await proxy.set('open')
    await reached(id, 'active')
    expect(await tries()).toMatchObject([{ succeeded: true }])
    expect(world.pebble.ordersAsked()).toBe(1)
  })

  test('that has led nowhere for an hour is begun anew', async () => {
    const proxy = await proxyOf(world.pebble)
    const { id } = await world.stage.addDomain('stuck.example.test')
    world.stage.responder.onQuestion = () => proxy.set('refuse')
    const first = await start({ production: [proxy.authority] })
    await until('it says that the CA is silent', 60_000, async () =>
      JSON.stringify((await certificateOf(id))?.problem ?? '').includes('does not answer'),
    )
    await first.stop()
    await world.db.prisma.certificateTry.updateMany({ data: { startedAt: new Date(Date.now() - 2 * 3_600_000) } })
    delete world.stage.responder.onQuestion
    await proxy.set('open')
    const next = await start({ production: [proxy.authority] })
    await again(next, id)
    await reached(id, 'active')
    expect(await tries()).toMatchObject([{ succeeded: false }, { succeeded: true }])
  })

  test('begins anew when the CA has forgotten account and order', async () => {
    const { id } = await world.stage.addDomain('amnesia.example.test')
    const scheduler = await start()
    await reached(id, 'active')
    await world.pebble.restart()
    await again(scheduler, id)
    await until('it is renewed', 60_000, async () => (await tries()).filter((one) => one.succeeded).length === 2)
    await reached(id, 'active')
  })
})
