import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BuildPlan } from '@/shared/build-plan'
import { packageManagerIn, platformFiles } from './platform-files'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sy-manager-'))
  for (const [folder, name] of [
    ['pnpm', 'pnpm'],
    ['@yarnpkg/cli-dist', '@yarnpkg/cli-dist'],
  ] as const) {
    await mkdir(path.join(directory, folder, 'bin'), { recursive: true })
    await writeFile(path.join(directory, folder, 'package.json'), JSON.stringify({ name, version: '10.34.8' }))
    await writeFile(path.join(directory, folder, 'bin', 'cli.cjs'), 'x', { mode: 0o755 })
  }
  await mkdir(path.join(directory, '.bin'))
  await symlink('../pnpm/bin/cli.cjs', path.join(directory, '.bin', 'pnpm'))
})
afterAll(() => rm(directory, { recursive: true }))

const plan = (more: Partial<BuildPlan>) => ({ packageManager: 'pnpm', staticSite: null, ...more }) as BuildPlan
const sources = () => ({ staticServerFile: '/none', packageManagerDirectory: directory })

test('the artifact holds the package manager of the build exactly where its start calls it', async () => {
  const entries = await platformFiles(plan({ packageManagerAtStart: true }), sources())
  expect(entries.find(({ name }) => name === '.switchyard/package-manager/.bin/pnpm')).toMatchObject({
    type: 'symlink',
    linkname: '../pnpm/bin/cli.cjs',
  })
  expect(entries.find(({ name }) => name === '.switchyard/package-manager/pnpm/bin/cli.cjs')).toMatchObject({ type: 'file', mode: 0o755 })
  expect(await platformFiles(plan({}), sources())).toEqual([])
})

test('its exact version is recorded, that of Yarn 2 and later by its own package', async () => {
  expect(await packageManagerIn(plan({}), directory)).toBe('pnpm@10.34.8')
  expect(await packageManagerIn(plan({ packageManager: 'yarn' }), directory)).toBe('yarn@10.34.8')
  expect(await packageManagerIn(plan({ packageManager: 'npm' }), null)).toBeNull()
})
