import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createBuildUsers } from './users'

/** Only root can run builds as other users. */
const root = process.getuid?.() === 0
const roots: string[] = []
const newRoot = async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'sy-users-'))
  roots.push(root)
  return root
}
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true, force: true }))))

it('a workspace keeps its user, another has another, also after a restart', async () => {
  const directory = await newRoot()
  const users = createBuildUsers(directory)
  const [one, two] = await Promise.all([users('one'), users('two')])
  if (!root) return expect([one, two]).toEqual([null, null])
  expect(one?.uid).not.toBe(two?.uid)
  expect(await createBuildUsers(directory)('one')).toEqual(one)
})

it('two installations on one machine do not share users: ending a build kills all of its user', async () => {
  const found = await Promise.all(Array.from({ length: 4 }, async () => (await createBuildUsers(await newRoot())('app'))?.uid))
  // Four random places of 2,000: that all are the same does not happen.
  if (!root) return expect(found).toEqual([undefined, undefined, undefined, undefined])
  expect(new Set(found).size).toBeGreaterThan(1)
})
