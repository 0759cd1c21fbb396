import { afterAll, beforeAll, expect, it } from 'vitest'
import type { RulesPatch } from '@/shared/rules-settings'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../actor'

let api: TestApi
let actor: Actor
let project: string
beforeAll(async () => {
  api = await createTestApi()
  actor = await api.actorOf(api.boot.teamId, 'admin')
  project = (await api.platform.projects.create(actor, projectInput.parse({ name: 'shop' }))).id
})
afterAll(() => api.close())
const read = () => api.platform.rules.get(actor, project)
const update = (patch: RulesPatch) => api.platform.rules.update(actor, project, patch)
const redirect = (source: string) => ({ source, destination: '/new', status: 308 as const })

it('two people who edit one list at once: the second hears of the first, and nothing is lost', async () => {
  expect((await read()).versions).toEqual({})
  const seen = { redirects: '' }
  const first = await update({ redirects: [redirect('/first')], versions: seen })
  await expect(update({ redirects: [redirect('/second')], versions: seen })).rejects.toMatchObject({
    code: 'ERR_CONFLICT',
    message: expect.stringContaining('redirects'),
  })
  expect((await read()).settings.redirects).toEqual([redirect('/first')])
  const both = await update({ redirects: [redirect('/first'), redirect('/second')], versions: { redirects: first.versions.redirects ?? '' } })
  expect(both.settings.redirects).toHaveLength(2)
  await expect(update({ reset: ['redirects'], versions: { redirects: first.versions.redirects ?? '' } })).rejects.toMatchObject({
    code: 'ERR_CONFLICT',
  })
})

it('another field, and a change that names no version, are free', async () => {
  const { versions } = await read()
  await update({ cleanUrls: true, versions: { cleanUrls: '' } })
  expect((await read()).versions.redirects).toBe(versions.redirects)
  expect((await update({ cleanUrls: false })).settings.cleanUrls).toBe(false)
})
