import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { digestToken, verifyPassword } from '@/shared/node/access-secrets'
import type { RouteTable } from '@/shared/route-table'
import type { RulesPatch } from '@/shared/rules-settings'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { ensurePreviewEnvironment } from '../environments/environments'
import { createShareLinks } from '../environments/share-links'
import { createRoutePublisher } from '../routes/publisher'
import { createRules } from './rules'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(() => db.pool.query('TRUNCATE "Team", "Artifact" CASCADE'))

async function setUp(slug = 'shop') {
  const { prisma } = db
  const owner = await createProject(prisma, { slug })
  const projectId = owner.project.id
  const actor: Actor = { kind: 'system', id: 'test', name: 'test', teamId: owner.project.teamId, role: 'admin', operator: false }
  const tables: RouteTable[] = []
  const routes = createRoutePublisher({
    prisma,
    sink: { publish: async (table) => ({ acknowledged: tables.push(table) }) },
    baseDomain: 'localhost',
    dashboardUrl: 'http://localhost:3000',
    outsideHosts: ['api.example.com'],
  })
  const rules = createRules({
    prisma,
    bus: { publish: async () => {} },
    outsideHosts: ['api.example.com'],
    routesChanged: () => routes.sync(),
    closedBy: routes.closedBy,
  })
  const update = (patch: RulesPatch) => rules.update(actor, projectId, patch)
  const policyOf = (host: string) => {
    const table = tables.at(-1)
    const key = table?.routes.find((route) => route.host === host)?.policy
    return key === undefined ? undefined : table?.policies?.[key]
  }
  const links = createShareLinks({
    prisma,
    secrets: { seal: async (_, plain) => new Uint8Array(Buffer.from(plain)), open: async (_, sealed) => Buffer.from(sealed).toString() },
    bus: { publish: async () => {} },
    edge: { scheme: 'http', port: 80, baseDomain: 'localhost' },
    routesChanged: () => routes.sync(),
  })
  return { owner, projectId, actor, routes, rules, update, tables, policyOf, links }
}

const live = async (owner: Awaited<ReturnType<typeof createProject>>, edgePolicy: object) => {
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 1001 })
  await db.prisma.artifact.update({ where: { id: release.artifactId }, data: { edgePolicy } })
  await db.prisma.deployment.update({ where: { id: deployment.id }, data: { artifactId: release.artifactId } })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  return deployment
}

test('what is set is laid over what the files of the live deployment say, and reaches the routers at once', async () => {
  const { owner, update, rules, actor, policyOf, tables, routes } = await setUp()
  const deployment = await live(owner, {
    cleanUrls: true,
    trailingSlash: true,
    redirects: [{ source: '/file', destination: '/f', status: 308 }],
    headers: [{ source: '/(.*)', headers: [{ key: 'X-A', value: 'file' }] }],
    rewrites: [{ source: '/other/(.*)', destination: 'project:blog/$1' }],
  })
  await update({
    trailingSlash: null,
    redirects: [{ source: '/set', destination: '/s', status: 307 }],
    headers: [{ source: '/(.*)', headers: [{ key: 'X-A', value: 'set' }] }],
  })
  const policy = policyOf('shop.localhost')
  expect(policy).toMatchObject({ cleanUrls: true, trailingSlash: null, compression: true, maintenance: null })
  expect(policy?.redirects.map(({ source }) => source)).toEqual(['/set', '/file'])
  expect(policy?.headers.map(({ headers }) => headers[0]?.value)).toEqual(['file', 'set'])
  expect(policy?.rewrites[0]?.destination).toBe('project:blog.localhost/$1')
  expect(policyOf(`shop-${deployment.id}.localhost`)).toEqual(policy)
  expect(tables.at(-1)?.outsideHosts).toEqual(['api.example.com'])
  const before = tables.length
  await routes.sync()
  expect(tables.length).toBe(before)
  const view = await rules.get(actor, 'shop')
  expect(view.files).toMatchObject({ cleanUrls: true, redirects: [{ source: '/file' }] })
  expect(view.settings).toMatchObject({ trailingSlash: null, redirects: [{ source: '/set' }] })
  await update({ reset: ['trailingSlash', 'redirects', 'headers'] })
  expect(policyOf('shop.localhost')).toMatchObject({ trailingSlash: true, redirects: [{ source: '/file' }] })
  expect((await db.prisma.project.findUniqueOrThrow({ where: { id: owner.project.id } })).edgePolicy).toBeNull()
})

test('projects without rules share the default, which has no name; equal policies are one', async () => {
  const { update, routes, tables, actor, rules } = await setUp()
  await createProject(db.prisma, { slug: 'plain' })
  await routes.sync()
  expect(tables.at(-1)?.policies).toBeUndefined()
  expect(tables.at(-1)?.routes.every((route) => route.policy === undefined)).toBe(true)
  await update({ compression: true })
  expect(tables.at(-1)?.policies).toBeUndefined()
  const second = await db.prisma.project.create({ data: { id: 'second', teamId: actor.teamId, name: 'second', slug: 'second' } })
  await update({ cleanUrls: true })
  await rules.update(actor, second.id, { cleanUrls: true })
  expect(Object.keys(tables.at(-1)?.policies ?? {})).toHaveLength(1)
})

describe('protection', () => {
  test('passwords are kept as hashes, stay when they are not sent, and never come back', async () => {
    const { update, projectId, policyOf } = await setUp()
    const answer = await update({ protection: { kind: 'basic', users: [{ name: 'ann', password: 'correct horse' }] } })
    expect(JSON.stringify(answer)).not.toMatch(/correct horse|scrypt/)
    const stored = JSON.stringify((await db.prisma.project.findUniqueOrThrow({ where: { id: projectId } })).edgePolicy)
    expect(stored).not.toContain('correct horse')
    await update({ protection: { kind: 'basic', users: [{ name: 'ann' }, { name: 'bob', password: 'battery staple' }] } })
    const protection = policyOf('shop.localhost')?.protection
    const hashOf = (name: string) => (protection?.kind === 'basic' ? protection.users.find((user) => user.name === name)?.hash : '') ?? ''
    expect(await verifyPassword('correct horse', hashOf('ann'))).toBe(true)
    expect(await verifyPassword('battery staple', hashOf('bob'))).toBe(true)
    await expect(update({ protection: { kind: 'basic', users: [{ name: 'eve' }] } })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await update({ protection: null })
    expect(policyOf('shop.localhost')).toBeUndefined()
  })

  test('a token is shown once; only its digest is kept; it can be taken away', async () => {
    const { update, policyOf } = await setUp()
    const { newTokens, settings } = await update({ protection: { kind: 'token', keep: [], create: 2 } })
    expect(newTokens).toHaveLength(2)
    const ids = settings.protection?.kind === 'token' ? settings.protection.tokens.map(({ id }) => id) : []
    expect(ids).toHaveLength(2)
    expect(JSON.stringify(policyOf('shop.localhost'))).not.toContain(newTokens[0])
    const after = await update({ protection: { kind: 'token', keep: [ids[0] ?? ''], create: 0 } })
    expect(after.newTokens).toEqual([])
    expect(after.settings.protection).toEqual({ kind: 'token', tokens: [{ id: ids[0] }] })
    await expect(update({ protection: { kind: 'token', keep: [], create: 0 } })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })

  test('files cannot turn protection off, nor widen who may come in', async () => {
    const { owner, update, policyOf } = await setUp()
    await live(owner, { allowedAddresses: ['0.0.0.0/0'], protection: null, maintenance: null })
    await update({
      allowedAddresses: ['192.0.2.0/24'],
      protection: { kind: 'token', keep: [], create: 1 },
      maintenance: { message: 'x', allowedAddresses: [] },
    })
    expect(policyOf('shop.localhost')).toMatchObject({
      allowedAddresses: ['192.0.2.0/24'],
      protection: { kind: 'token' },
      maintenance: { message: 'x' },
    })
  })
})

test('rules that cannot be are refused by name, and nothing changes', async () => {
  const { update, rules, actor } = await setUp()
  await update({ cleanUrls: true })
  await expect(
    update({
      cleanUrls: false,
      redirects: [
        { source: '/ok', destination: '/', status: 308 },
        { source: '/(', destination: '/', status: 308 },
      ],
    }),
  ).rejects.toThrow(/^redirects 2: /)
  await expect(update({ allowedAddresses: ['10.0.0.0/33'] })).rejects.toThrow('10.0.0.0/33')
  expect((await rules.get(actor, 'shop')).settings).toEqual({ cleanUrls: true })
})

describe('of an environment', () => {
  const withPreview = async () => {
    const all = await setUp()
    const { id: projectId, teamId } = all.owner.project
    const template = await db.prisma.environment.create({
      data: { id: `all-${projectId}`.slice(0, 32), teamId, projectId, name: 'preview', kind: 'PREVIEW', slug: `previews-of-${projectId}` },
    })
    const request = { pullRequest: 7, branch: 'login', title: null, author: null, fork: false }
    const preview = await ensurePreviewEnvironment(scopeTo(db.prisma, all.owner), all.owner.project, request)
    const protect = (id: string, protection: string | null) => db.prisma.environment.update({ where: { id }, data: { protection } })
    return { ...all, template, preview, protect }
  }

  test('are laid over those of all previews and of the project, on its own hosts alone', async () => {
    const { rules, actor, update, policyOf, preview, projectId, template, protect, routes, owner } = await withPreview()
    await protect(template.id, 'none')
    const redirect = (source: string) => ({ redirects: [{ source, destination: '/', status: 307 as const }] })
    await update({ ...redirect('/project'), cleanUrls: true })
    await rules.update(actor, projectId, { ...redirect('/previews'), cleanUrls: false }, 'preview')
    const { settings, inherited, files } = await rules.update(actor, projectId, redirect('/own'), preview.id)
    expect([settings, files]).toEqual([redirect('/own'), {}])
    expect(inherited).toMatchObject({ cleanUrls: false, redirects: [{ source: '/previews' }, { source: '/project' }] })
    const sources = (host: string) => policyOf(host)?.redirects.map(({ source }) => source)
    expect(sources('shop-pr-7.localhost')).toEqual(['/own', '/previews', '/project'])
    expect(policyOf('shop-pr-7.localhost')).toMatchObject({ cleanUrls: false, protection: null })
    expect(sources('shop.localhost')).toEqual(['/project'])
    const deployment = await createDeploymentRow(db.prisma, { ...owner, environment: preview })
    await routes.sync()
    expect(sources(`shop-${deployment.id}.localhost`)).toEqual(['/own', '/previews', '/project'])
    const { versions } = await rules.get(actor, projectId, 'pr-7')
    await rules.update(actor, projectId, { redirects: [] }, 'pr-7')
    await expect(rules.update(actor, projectId, { redirects: [], versions }, 'pr-7')).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  })

  test('that cannot be read close its own hosts alone', async () => {
    const { tables, routes, preview } = await withPreview()
    await db.prisma.environment.update({ where: { id: preview.id }, data: { rules: { protection: 7 } } })
    await routes.sync()
    const closed = tables.at(-1)?.routes.flatMap(({ host, closed }) => (closed ? [host] : []))
    expect(closed).toEqual(['shop-pr-7.localhost'])
  })

  test('a preview is protected on all its hosts until the project says otherwise, and a link opens it until it is revoked', async () => {
    const { policyOf, routes, links, actor, preview, template, protect, owner } = await withPreview()
    const deployment = await createDeploymentRow(db.prisma, { ...owner, environment: preview })
    await routes.sync()
    const hosts = ['shop-pr-7.localhost', `shop-${deployment.id}.localhost`]
    const protection = () => hosts.map((host) => policyOf(host)?.protection ?? null)
    expect(policyOf('shop.localhost')).toBeUndefined()
    expect(protection()).toEqual(hosts.map(() => ({ kind: 'token', digests: [] })))
    const made = await links.create(actor, preview.id, { name: 'review', days: 30 })
    const token = new URL(made.url).searchParams.get('switchyard_token') ?? ''
    const link = { digest: digestToken(token), expiresAt: Date.parse(made.expiresAt) }
    expect(link.expiresAt - Date.parse(made.createdAt)).toBeGreaterThan(29 * 86_400_000)
    expect(protection()).toEqual(hosts.map(() => ({ kind: 'token', digests: [], links: [link] })))
    const opened = await links.open(actor, preview.id)
    expect(await links.open(actor, preview.id)).toEqual(opened)
    expect(await links.list(actor, preview.id)).toMatchObject([{ purpose: 'opened', url: opened.url }, made])
    for (const { id } of await links.list(actor, preview.id)) await links.revoke(actor, preview.id, id)
    expect(protection()).toEqual(hosts.map(() => ({ kind: 'token', digests: [] })))
    await protect(template.id, 'none')
    await routes.sync()
    expect(protection()).toEqual([null, null])
    await expect(links.create(actor, preview.id, { name: null, days: 1 })).rejects.toThrow('not protected')
    expect(await links.open(actor, preview.id)).toEqual({ url: 'http://shop-pr-7.localhost', expiresAt: null })
  })

  test('a password of the rules can be gone round by a link of an admin, not of a member', async () => {
    const { update, links, actor, owner, policyOf } = await setUp()
    await update({ protection: { kind: 'basic', users: [{ name: 'ann', password: 'correct horse' }] } })
    const member = { ...actor, role: 'member' as const }
    await expect(links.open(member, owner.environment.id)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' })
    await links.open(actor, owner.environment.id)
    expect(policyOf('shop.localhost')?.protection).toMatchObject({ kind: 'basic', links: [{ digest: expect.any(String) }] })
  })
})

describe('bounds', () => {
  test('more rules than there may be, or larger ones, are refused, and nothing changes', async () => {
    const { update, rules, actor } = await setUp()
    const redirects = Array.from({ length: 1025 }, (_, i) => ({ source: `/a${i}`, destination: '/b', status: 308 as const }))
    await expect(update({ redirects })).rejects.toMatchObject({ code: 'ERR_TOO_LARGE', message: expect.stringContaining('1025 redirects') })
    const has = Array.from({ length: 16 }, () => ({ type: 'header' as const, key: 'x', value: 'a{999}' }))
    await expect(update({ redirects: redirects.slice(0, 100).map((rule) => ({ ...rule, has })) })).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
    expect((await rules.get(actor, 'shop')).settings).toEqual({})
  })

  test('rules there is no room for beside those of everybody are refused; fewer than before never are', async () => {
    const { projectId, actor, routes } = await setUp()
    let room = true
    const closedBy = async () => (room ? null : 'There is no room for these rules.')
    const bounded = createRules({
      prisma: db.prisma,
      bus: { publish: async () => {} },
      outsideHosts: [],
      routesChanged: () => routes.sync(),
      closedBy,
    })
    const some = (count: number) => Array.from({ length: count }, (_, i) => ({ source: `/a${i}`, destination: '/b', status: 308 as const }))
    await bounded.update(actor, projectId, { redirects: some(10) })
    room = false
    await expect(bounded.update(actor, projectId, { redirects: some(11) })).rejects.toMatchObject({ code: 'ERR_TOO_LARGE' })
    const { settings } = await bounded.update(actor, projectId, { redirects: some(9) })
    expect(settings.redirects).toHaveLength(9)
  })
})

describe('stored rules that cannot be read', () => {
  const store = (projectId: string, json: string) => db.pool.query('UPDATE "Project" SET "edgePolicy" = $1::jsonb WHERE "id" = $2', [json, projectId])

  test.each([
    ['a protection of an unknown kind', '{"protection": {"kind": "passkey"}, "cleanUrls": true}'],
    ['a text', '"text"'],
    ['20 MB', JSON.stringify({ cleanUrls: true, padding: 'x'.repeat(20_000_000) })],
  ])('%s: the project stays closed until a change sets or resets every access rule', async (_, json) => {
    const { projectId, routes, update, policyOf, tables, rules, actor } = await setUp()
    await store(projectId, json)
    await routes.sync()
    const closed = () => tables.at(-1)?.routes.map((route) => route.closed ?? false)
    expect(closed()).toEqual([true])
    expect(policyOf('shop.localhost')?.maintenance?.message).toMatch('the site is closed until they are fixed')
    expect((await rules.get(actor, 'shop')).settings).toEqual({})
    for (const patch of [{ cleanUrls: false }, { protection: null }, { allowedAddresses: ['192.0.2.0/24'], reset: ['maintenance' as const] }])
      await expect(update(patch)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect(closed()).toEqual([true])
    await update({ protection: { kind: 'token', keep: [], create: 1 }, allowedAddresses: ['192.0.2.0/24'], reset: ['maintenance'] })
    expect(closed()).toEqual([false])
    expect(policyOf('shop.localhost')).toMatchObject({ maintenance: null, allowedAddresses: ['192.0.2.0/24'], protection: { kind: 'token' } })
  })
})
