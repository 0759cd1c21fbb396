import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { noteUse, removeUnusedTools } from './unused-tools'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sy-tools-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const dayMs = 24 * 3_600_000

it('removes versions of Node and of package managers that no artifact and no recent build needs, and nothing else', async () => {
  const long = new Date(Date.now() - 40 * dayMs)
  for (const name of ['node-20.1.0', 'node-22.1.0', 'node-24.1.0', 'node-20', 'fetched-node-20.1.0', 'pnpm-9', 'yarn-1.22.22', 'something-else']) {
    await mkdir(path.join(directory, name))
    await utimes(path.join(directory, name), long, long)
  }
  await noteUse(path.join(directory, 'yarn-1.22.22'))
  const removed = await removeUnusedTools(directory, { nodesInUse: ['22.1.0', '24.1.0'], maxAgeMs: 30 * dayMs })
  expect(removed.map(({ name }) => name).sort()).toEqual(['fetched-node-20.1.0', 'node-20', 'node-20.1.0', 'pnpm-9'])
  expect((await readdir(directory)).sort()).toEqual(['node-22.1.0', 'node-24.1.0', 'something-else', 'yarn-1.22.22'])
})
