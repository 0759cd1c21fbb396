import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type BuildPlan, noSettings, type PlanCommand } from '@/shared/build-plan'
import { clearProjectCaches, listCaches } from './evict'
import { buildKey, openEnvHash } from './key'
import { createWorkspaces } from './workspace'

const install: PlanCommand = {
  step: 'install',
  command: 'npm ci',
  cacheDirectories: ['node_modules'],
  cacheKeyFiles: ['package.json', 'package-lock.json'],
}
const plan: BuildPlan = {
  version: 1,
  framework: 'node',
  summary: '',
  packageManager: 'npm',
  packageManagerVersion: null,
  nodeMajor: 24,
  rootDirectory: '',
  commands: [install],
  buildEnv: {},
  outputs: [],
  start: { argv: [], env: {} },
  port: 3000,
  healthCheckPath: '/',
  dockerfile: null,
  staticSite: null,
}

let root: string
let source: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'switchyard-workspace-'))
  source = path.join(root, 'source')
  await mkdir(source)
  await writeFile(path.join(source, 'package.json'), '{}')
  await writeFile(path.join(source, 'package-lock.json'), '{}')
})
afterEach(() => rm(root, { recursive: true, force: true }))

const acquire = () => createWorkspaces(path.join(root, 'projects')).acquire('p1', 'host', async () => null)

/** An install as the executor does it, without the package manager. */
async function installOnce(): Promise<void> {
  const workspace = await acquire()
  await workspace.installed(source, plan, 'env')
  await workspace.sync(source, plan)
  await mkdir(path.join(workspace.checkout, 'node_modules/ms'), { recursive: true })
  await workspace.recordInstall(install)
  workspace.release()
}
const skipped = async (over: Partial<BuildPlan> = {}, env = 'env') =>
  (await (await acquire()).installed(source, { ...plan, ...over }, env)).size === 1

describe('the install of a project', () => {
  it('is skipped when nothing it depends on has changed', async () => {
    expect(await skipped()).toBe(false)
    await installOnce()
    expect(await skipped()).toBe(true)
  })
  it.each([
    ['the lock file', () => writeFile(path.join(source, 'package-lock.json'), '{ }'), {}, 'env'],
    ['the Node version', async () => {}, { nodeMajor: 22 }, 'env'],
    ['the package manager', async () => {}, { packageManagerVersion: '10.1.0' }, 'env'],
    ['a variable it reads', async () => {}, {}, 'other'],
    ['what it made', () => rm(path.join(root, 'projects/p1/host-0/checkout/node_modules/ms'), { recursive: true }), {}, 'env'],
  ] as const)('runs again when %s has changed', async (_, change, over, env) => {
    await installOnce()
    await change()
    expect(await skipped(over, env)).toBe(false)
  })
  it('runs again after one that was cut off', async () => {
    await installOnce()
    const workspace = await acquire()
    await workspace.installed(source, { ...plan, nodeMajor: 22 }, 'env')
    workspace.release()
    expect(await skipped()).toBe(false)
  })
  it('is never skipped when the project has an install script of its own, or the command is the person’s', async () => {
    await writeFile(path.join(source, 'package.json'), JSON.stringify({ scripts: { postinstall: 'x' } }))
    await installOnce()
    expect(await skipped()).toBe(false)
    await writeFile(path.join(source, 'package.json'), '{}')
    expect(await skipped({ commands: [{ ...install, cacheKeyFiles: [] }] })).toBe(false)
  })
})

describe('an install that starts over', () => {
  const names = (directory: string) => readdir(directory).catch(() => null)
  /** Opens the project's place for a build whose lock file has changed, up to where the commands would run. */
  async function begin(over: Partial<BuildPlan> = {}) {
    await writeFile(path.join(source, 'package-lock.json'), '{ "changed": true }')
    const workspace = await createWorkspaces(path.join(root, 'projects'), { removeAfterMs: 0 }).acquire('p1', 'host', async () => null)
    await workspace.installed(source, { ...plan, ...over }, 'env')
    await workspace.sync(source, { ...plan, ...over })
    return workspace
  }
  it('finds no earlier one to delete, and what was there is gone after the build', async () => {
    await installOnce()
    const workspace = await begin()
    expect(await names(workspace.checkout)).toEqual(['package-lock.json', 'package.json'])
    expect(await names(path.join(workspace.directory, 'aside'))).toHaveLength(1)
    workspace.release()
    await vi.waitFor(async () => expect(await names(path.join(workspace.directory, 'aside'))).toBeNull())
  })
  it('leaves the directory to package managers that build on it', async () => {
    await installOnce()
    const commands = [{ ...install, command: 'pnpm install --frozen-lockfile --prod=false' }]
    const workspace = await begin({ commands })
    expect(await names(path.join(workspace.checkout, 'node_modules'))).toEqual(['ms'])
  })
  it('does not move a directory that a link of the project leads to', async () => {
    const foreign = path.join(root, 'foreign/node_modules/ms')
    await mkdir(foreign, { recursive: true })
    await symlink(path.join(root, 'foreign'), path.join(source, 'member'))
    await begin({ commands: [{ ...install, cacheDirectories: ['member/node_modules', '../../../../foreign/node_modules'] }] })
    expect(await names(path.dirname(foreign))).toEqual(['ms'])
  })
})

describe('workspaces', () => {
  it('gives two builds of one project at once a place each, and one after the other the same', async () => {
    const workspaces = createWorkspaces(path.join(root, 'projects'))
    const first = await workspaces.acquire('p', 'host', async () => null)
    const second = await workspaces.acquire('p', 'host', async () => null)
    expect(second.directory).not.toBe(first.directory)
    first.release()
    expect((await workspaces.acquire('p', 'host', async () => null)).directory).toBe(first.directory)
  })
  it('gives a build without cache nothing that earlier builds left', async () => {
    await installOnce()
    const before = await acquire()
    await writeFile(path.join(before.home, '.npmrc-cache'), 'x')
    await before.writeNote('a', 'b')
    before.release()
    const anew = await createWorkspaces(path.join(root, 'projects')).acquire('p1', 'host', async () => null, { empty: true })
    expect([await readdir(anew.checkout), await readdir(anew.home), await anew.readNote('a')]).toEqual([[], [], null])
    expect((await anew.installed(source, plan, 'env')).size).toBe(0)
  })
  it('clears the caches of one project, says how many bytes that frees, and refuses while a build uses them', async () => {
    const home = path.join(root, 'home')
    const workspaces = createWorkspaces(path.join(home, 'builds', 'projects'))
    for (const name of ['p1', 'p2']) {
      const workspace = await workspaces.acquire(name, 'host', async () => null)
      await writeFile(path.join(workspace.home, 'store'), 'x'.repeat(100_000))
      workspace.release()
    }
    const busy = await workspaces.acquire('p1', 'host', async () => null)
    await expect(clearProjectCaches(home, 'p1', workspaces.hold)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    busy.release()
    expect(await clearProjectCaches(home, 'p1', workspaces.hold)).toBeGreaterThanOrEqual(100_000)
    expect((await listCaches(home)).map(({ projectId }) => projectId)).toEqual(['p2'])
    expect(await clearProjectCaches(home, 'p1', workspaces.hold)).toBe(0)
  })
  it('keeps what builds wrote from everybody else, and its own record from builds', async () => {
    const workspace = await acquire()
    await workspace.writeNote('a', 'b')
    const mode = async (file: string) => (await stat(file)).mode & 0o777
    expect(
      await Promise.all([workspace.directory, workspace.checkout, workspace.home, path.join(workspace.directory, 'state.json')].map(mode)),
    ).toEqual([0o711, 0o700, 0o700, 0o600])
  })
})

describe('the build key', () => {
  const settings = noSettings
  const input = { projectId: 'p', treeId: 't', settings, target: 'image' as const, base: ['a'], envHash: 'e' }
  it('changes with everything that decides the result', () => {
    const others = [
      { treeId: 'u' },
      { settings: { ...settings, buildCommand: 'x' } },
      { target: 'bundle' as const },
      { base: ['b'] },
      { envHash: 'f' },
      { projectId: 'q' },
    ]
    expect(new Set([buildKey(input), ...others.map((other) => buildKey({ ...input, ...other }))]).size).toBe(7)
  })
  it('does not depend on the order of variables, and cannot be computed without the key of the installation', async () => {
    const hash = await openEnvHash(root)
    expect(hash({ a: '1', b: '2' })).toBe(hash({ b: '2', a: '1' }))
    expect((await openEnvHash(root))({ a: '1' })).toBe(hash({ a: '1' }))
    expect((await openEnvHash(source))({ a: '1' })).not.toBe(hash({ a: '1' }))
  })
})
