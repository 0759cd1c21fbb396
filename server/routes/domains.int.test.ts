import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { computeRoutes } from './compute'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(() => db.pool.query('TRUNCATE "Team", "Artifact" CASCADE'))

const ports = { http: 80, https: 443 }
const routes = async () => new Map((await computeRoutes(db.prisma, 'localhost', [], ports)).map((route) => [route.host, route]))

async function liveShop() {
  const owner = await createProject(db.prisma, { slug: 'shop' })
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 1001 })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  return { owner, deployment }
}
type Owner = Awaited<ReturnType<typeof liveShop>>['owner']

async function addDomain(owner: Owner, hostname: string, more: object = {}) {
  const row = { id: newId(), teamId: owner.teamId, projectId: owner.project.id, environmentId: owner.environment.id, hostname, token: 't' }
  return db.prisma.domain.create({ data: { ...row, state: 'verified', ...more } })
}
const addCertificate = (owner: Owner, domainId: string, names: string[], notAfter: Date) =>
  db.prisma.certificate.create({
    data: { id: newId(), teamId: owner.teamId, domainId, names, notAfter, state: 'active', chainPem: 'chain', keyCiphertext: new Uint8Array(1) },
  })
const inAnHour = () => new Date(Date.now() + 3_600_000)

test('a verified domain serves what its project serves; one that is not verified is not routed at all', async () => {
  const { owner, deployment } = await liveShop()
  await addDomain(owner, 'shop.example')
  await addDomain(owner, '*.shop.example')
  await addDomain(owner, 'odd.example', { state: 'misconfigured' })
  await addDomain(owner, 'other.example', { state: 'unverified' })
  const table = await routes()
  expect(table.get('shop.example')).toMatchObject({ state: 'live', deploymentId: deployment.id, targets: [{ port: 1001 }] })
  expect(table.get('shop.example')).not.toHaveProperty('httpsOnly')
  expect(table.has('*.shop.example')).toBe(true)
  expect(table.has('odd.example')).toBe(true)
  expect(table.has('other.example')).toBe(false)
})

test('HTTP is redirected and HSTS said only while a certificate covers the name', async () => {
  const { owner } = await liveShop()
  const apex = await addDomain(owner, 'shop.example')
  await addDomain(owner, 'www.shop.example')
  await addDomain(owner, 'plain.shop.example', { httpsRedirect: false })
  await addDomain(owner, 'off.shop.example', { certificateMode: 'off' })
  const late = await addDomain(owner, 'late.example')
  await addCertificate(owner, apex.id, ['shop.example', '*.shop.example'], inAnHour())
  await addCertificate(owner, late.id, ['late.example'], new Date(Date.now() - 1000))
  const table = await routes()
  expect(table.get('shop.example')).toMatchObject({ httpsOnly: true, hstsSeconds: 31_536_000 })
  expect(table.get('www.shop.example')).toMatchObject({ httpsOnly: true })
  expect(table.get('plain.shop.example')).not.toHaveProperty('httpsOnly')
  expect(table.get('plain.shop.example')).not.toHaveProperty('hstsSeconds')
  expect(table.get('off.shop.example')).not.toHaveProperty('httpsOnly')
  expect(table.get('late.example')).not.toHaveProperty('httpsOnly')
})

test('a redirect leads to the other name, by HTTPS where that has a certificate, and not before that one is verified', async () => {
  const { owner } = await liveShop()
  const apex = await addDomain(owner, 'shop.example')
  await addDomain(owner, 'www.shop.example', { redirectTo: 'shop.example' })
  expect((await routes()).get('www.shop.example')).toMatchObject({ redirectTo: 'http://shop.example' })
  await addCertificate(owner, apex.id, ['shop.example'], inAnHour())
  expect((await routes()).get('www.shop.example')).toMatchObject({ redirectTo: 'https://shop.example' })
  await db.prisma.domain.update({ where: { id: apex.id }, data: { state: 'unverified' } })
  expect((await routes()).get('www.shop.example')).not.toHaveProperty('redirectTo')
})

test('a domain of a branch serves the newest deployment of the branch, and says so while there is none', async () => {
  const { owner } = await liveShop()
  await addDomain(owner, 'next.shop.example', { branch: 'next' })
  expect((await routes()).get('next.shop.example')).toMatchObject({ state: 'not-deployed', targets: [], deploymentId: null })
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  await db.prisma.deployment.update({ where: { id: deployment.id }, data: { branch: 'next' } })
  await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 1002 })
  expect((await routes()).get('next.shop.example')).toMatchObject({ state: 'live', deploymentId: deployment.id, targets: [{ port: 1002 }] })
})

test('what serves keeps its addresses, however many attempts have failed since', async () => {
  const { owner, deployment } = await liveShop()
  await db.prisma.deployment.update({ where: { id: deployment.id }, data: { branch: 'main' } })
  await addDomain(owner, 'main.shop.example', { branch: 'main' })
  for (let i = 0; i < 25; i++) {
    const { id } = await createDeploymentRow(db.prisma, owner, { status: 'FAILED' })
    await db.prisma.deployment.update({ where: { id }, data: { branch: 'main' } })
  }
  const table = await routes()
  for (const host of ['main.shop.example', `shop-${deployment.id}.localhost`, 'shop.localhost'])
    expect(table.get(host), host).toMatchObject({ state: 'live', deploymentId: deployment.id, targets: [{ port: 1001 }] })
  expect([...table.values()].filter(({ state }) => state === 'failed')).toHaveLength(20)
})

test('a domain that a new base domain has made a host of the platform itself is routed once: routers refuse a host that stands twice', async () => {
  const { owner, deployment } = await liveShop()
  const other = await createProject(db.prisma, { slug: 'other', teamId: owner.teamId })
  await db.prisma.domain.create({
    data: {
      ...{ id: newId(), teamId: owner.teamId, projectId: other.project.id, environmentId: other.environment.id },
      ...{ hostname: 'shop.example', token: 't', state: 'verified' },
    },
  })
  const found = (await computeRoutes(db.prisma, 'example', [], ports)).filter(({ host }) => host === 'shop.example')
  expect(found).toMatchObject([{ deploymentId: deployment.id }])
})
