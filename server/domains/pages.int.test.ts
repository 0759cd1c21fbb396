import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../actor'

/** An agency: but one as many domains as a team may have, in one project (by SQL: a project's limit is the use-case's), and a rival's. */
const count = 9_999
let api: TestApi
let ours: Actor
let theirs: Actor
let agency: string
let rival: string

beforeAll(async () => {
  api = await createTestApi(null)
  ours = await api.actorOf(api.boot.teamId, 'admin')
  theirs = await api.actorOf(await api.addTeam('other'), 'admin')
  agency = (await api.platform.projects.create(ours, projectInput.parse({ name: 'agency' }))).id
  rival = (await api.platform.projects.create(theirs, projectInput.parse({ name: 'rival' }))).id
  await api.platform.projects.create(ours, projectInput.parse({ name: 'books' }))
  await fill(ours, agency, 'client', count)
  await fill(theirs, rival, 'rival', 30)
})
afterAll(() => api.close())

/** Domains `client-00001.example` …, one certificate for each, all of one moment: nothing but the id tells them apart. */
async function fill({ teamId }: Actor, projectId: string, name: string, domains: number): Promise<void> {
  const environment = await api.database.prisma.environment.findFirstOrThrow({ where: { projectId } })
  await api.database.pool.query(
    `INSERT INTO "Domain" ("id", "teamId", "projectId", "environmentId", "hostname", "token", "state")
     SELECT md5($4 || i), $1, $2, $3, $4 || '-' || lpad(i::text, 5, '0') || '.example', 't', CASE WHEN i % 1000 = 0 THEN 'verified' ELSE 'unverified' END::"DomainState"
     FROM generate_series(1, $5::int) AS i`,
    [teamId, projectId, environment.id, name, domains],
  )
  await api.database.pool.query(
    `INSERT INTO "Certificate" ("id", "teamId", "domainId", "names", "createdAt")
     SELECT 'c' || d."id", d."teamId", d."id", ARRAY[d."hostname"], '2026-01-01' FROM "Domain" d WHERE d."projectId" = $1`,
    [projectId],
  )
}

interface Listed<T> {
  items: T[]
  nextCursor: string | null
}

async function readAll<T>(read: (cursor: string | undefined) => Promise<Listed<T>>): Promise<T[]> {
  const all: T[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Listed<T> = await read(cursor)
    all.push(...page.items)
    cursor = page.nextCursor
  }
  return all
}

describe('domains of an agency', () => {
  const list = (filter: Parameters<TestApi['platform']['domains']['list']>[2], cursor?: string, limit = 100) =>
    api.platform.domains.list(ours, agency, filter, { limit, cursor })

  it('come page by page, each once, by name, with their certificates, and none of another team', async () => {
    const all = await readAll((cursor) => list({}, cursor))
    expect(all.map(({ hostname }) => hostname)).toEqual(Array.from({ length: count }, (_, i) => `client-${String(i + 1).padStart(5, '0')}.example`))
    expect(all.every(({ hostname, certificate }) => certificate?.names[0] === hostname)).toBe(true)
  })

  it('are found by a part of the name and by state, with LIKE’s wildcards as letters', async () => {
    const names = async (filter: Parameters<typeof list>[0]) => (await list(filter)).items.map(({ hostname }) => hostname)
    expect(await names({ search: 'CLIENT-0004' })).toEqual(Array.from({ length: 10 }, (_, i) => `client-0004${i}.example`))
    expect(await names({ search: 'https://client-00042.example/' })).toEqual(['client-00042.example'])
    expect(await names({ search: 'client_00042' })).toEqual([])
    expect(await names({ search: '%' })).toEqual([])
    expect(await names({ search: 'rival' })).toEqual([])
    expect(await names({ state: 'verified' })).toHaveLength(9)
    const pages = await readAll((cursor) => list({ search: '-0004', state: 'unverified' }, cursor, 3))
    expect(pages).toHaveLength(10)
  })

  it('names of other scripts are found as people write them', async () => {
    await api.platform.domains.add(ours, 'books', { hostname: 'bücher.example', branch: null })
    const found = await api.platform.domains.list(ours, 'books', { search: 'Bücher' }, { limit: 5 })
    expect(found.items).toMatchObject([{ hostname: 'xn--bcher-kva.example' }])
  })

  it('a page after a row that is gone, or that is another team’s, is refused instead of looking like the end', async () => {
    const foreign = (await api.platform.domains.list(theirs, rival, {}, { limit: 1 })).nextCursor ?? ''
    for (const cursor of [foreign, newId()]) await expect(list({}, cursor)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })
})

describe('certificates of an agency', () => {
  const list = (filter: Parameters<TestApi['platform']['certificates']['list']>[1], cursor?: string, limit = 100) =>
    api.platform.certificates.list(ours, filter, { limit, cursor })

  it('come page by page, each once, though all are of one moment', async () => {
    const all = await readAll((cursor) => list({}, cursor))
    expect(new Set(all.map(({ id }) => id)).size).toBe(count)
    expect(all).toHaveLength(count)
    expect(all.every(({ projectId }) => projectId === agency)).toBe(true)
  })

  it('are found by project, by domain and by a part of its name', async () => {
    expect((await list({ projectId: 'agency', search: '-0004' })).items).toHaveLength(10)
    expect((await list({ domain: 'Client-00042.example' })).items).toMatchObject([{ hostname: 'client-00042.example' }])
    expect((await list({ projectId: 'books' })).items).toEqual([])
    await expect(list({ projectId: 'rival' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('a page after a row that is another team’s is refused', async () => {
    const foreign = (await api.platform.certificates.list(theirs, {}, { limit: 1 })).nextCursor ?? ''
    await expect(list({}, foreign)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })
})

describe('the limits of domains', () => {
  const add = (project: string, hostname: string) => api.platform.domains.add(ours, project, { hostname, branch: null })

  it('a team with as many as it may have is told so, and gets another once one is gone', async () => {
    expect(await api.database.prisma.domain.count({ where: { teamId: ours.teamId } })).toBe(10_000)
    await expect(add('books', 'one-more.example')).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining('A team has at most 10000 domains'),
    })
    await api.database.prisma.domain.delete({ where: { hostname: 'client-09999.example' } })
    expect(await add('books', 'one-more.example')).toMatchObject({ hostname: 'one-more.example' })
    await expect(add('books', 'two-more.example')).rejects.toMatchObject({ message: expect.stringContaining('A team has at most') })
  })

  it('a project has fewer than its team, and others of the team add on', async () => {
    await api.database.prisma.domain.deleteMany({ where: { hostname: { gt: 'client-01000.example', startsWith: 'client-' } } })
    await expect(add('agency', 'one-more-here.example')).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining('A project has at most 1000 domains'),
    })
    expect(await add('books', 'two-more.example')).toMatchObject({ hostname: 'two-more.example' })
    await api.database.prisma.domain.delete({ where: { hostname: 'client-00001.example' } })
    expect(await add('agency', 'one-more-here.example')).toMatchObject({ hostname: 'one-more-here.example' })
  })

  it('another team’s domains do not count', async () => {
    await expect(api.platform.domains.add(theirs, rival, { hostname: 'theirs.example', branch: null })).resolves.toMatchObject({
      state: 'unverified',
    })
  })
})
