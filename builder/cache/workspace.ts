import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lchown, lstat, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { syncTree, type TreeOwner } from '@/builder/execute/sync'
import type { BuildPlan, PlanCommand } from '@/shared/build-plan'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { deletedFirst, removeLater, setAside } from './set-aside'

/**
 * A project's persistent directory for builds: the checkout with `node_modules` and caches, and a HOME with the package managers' stores.
 * Concurrent builds of a project use different lanes.
 */
export interface Workspace {
  /** The build may write to `checkout/` and `home/` below it, but not to `state.json`. */
  directory: string
  checkout: string
  home: string
  /** Directory for the output files of the running build. */
  output: string
  owner: TreeOwner | null
  /** Updates the checkout to the source tree. Call after `installed`, before anything of the build runs. */
  sync(sourceDirectory: string, plan: BuildPlan): Promise<void>
  /** Install commands whose result still exists. */
  installed(sourceDirectory: string, plan: BuildPlan, envHash: string): Promise<Set<PlanCommand>>
  recordInstall(command: PlanCommand): Promise<void>
  readNote(name: string): Promise<string | null>
  writeNote(name: string, value: string): Promise<void>
  /** Whether the project's cache was cleared since its last build by the engine, whose own cache cannot be cleared per project. */
  isCacheCleared(): Promise<boolean>
  endCacheCleared(): Promise<void>
  release(): void
}

interface State {
  installs: Record<string, { key: string; intact: string }>
  notes: Record<string, string>
}

// Install scripts of the project may write anywhere, and files outside the caches do not survive a sync.
const installScripts = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']

/** Delay for removing files, so that it does not compete with the start of the new version. */
const removeAfterMs = 15_000

/** Manages the directories of a project by lane; a lane serves one build at a time. */
export function createWorkspaces(root: string, options: { removeAfterMs?: number } = {}) {
  const busy = new Set<string>()
  return {
    /** `empty`: removes the remains of earlier builds. */
    async acquire(
      projectId: string,
      kind: string,
      ownerOf: (lane: string) => Promise<TreeOwner | null>,
      { empty = false }: { empty?: boolean } = {},
    ): Promise<Workspace> {
      let lane = 0
      while (busy.has(`${projectId}/${kind}-${lane}`)) lane += 1
      const name = `${projectId}/${kind}-${lane}`
      busy.add(name)
      try {
        const directory = path.join(root, name)
        // Traversable but not listable: the build's user must reach its own directory and see no others.
        await mkdir(directory, { recursive: true, mode: 0o711 })
        for (const parent of [root, path.dirname(directory), directory]) await chmod(parent, 0o711)
        if (empty) await setAside(directory, keptParts, asideOf(directory))
        return await openWorkspace(directory, await ownerOf(name), () => {
          busy.delete(name)
          removeLater(asideOf(directory), options.removeAfterMs ?? removeAfterMs)
        })
      } catch (error) {
        busy.delete(name)
        throw error
      }
    },
    /** Locks a lane; null: a build uses it. */
    hold(directory: string): (() => void) | null {
      const name = path.relative(root, directory)
      if (busy.has(name)) return null
      busy.add(name)
      return () => void busy.delete(name)
    },
    /** Makes the project's next build by the engine ignore the engine's cache. */
    async markCleared(projectId: string): Promise<void> {
      await mkdir(path.join(root, projectId), { recursive: true, mode: 0o711 })
      await writeFileAtomic(clearedMark(path.join(root, projectId, 'lane')), '')
    },
    async removeProject(projectId: string): Promise<void> {
      await rm(path.join(root, projectId), { recursive: true, force: true })
    },
  }
}

/** Parts of a lane that are kept between builds. */
const keptParts = ['checkout', 'home', 'state.json']

/** The engine stores the layers of all projects' Dockerfile builds together, so they cannot be removed for one project. */
const clearedMark = (lane: string): string => path.join(path.dirname(lane), 'cache-cleared')

const asideOf = (directory: string): string => path.join(directory, 'aside')

async function openWorkspace(directory: string, owner: TreeOwner | null, release: () => void): Promise<Workspace> {
  const stateFile = path.join(directory, 'state.json')
  const state: State = { installs: {}, notes: {}, ...(await readState(stateFile)) }
  const save = () => writeFileAtomic(stateFile, JSON.stringify(state))
  const checkout = path.join(directory, 'checkout')
  const home = path.join(directory, 'home')
  for (const own of [checkout, home]) {
    await mkdir(own, { recursive: true, mode: 0o700 })
    if (owner) await lchown(own, owner.uid, owner.gid)
  }
  const keys = new Map<PlanCommand, string>()
  const roots = new Map<PlanCommand, string>()
  let outdated: string[] = []
  return {
    directory,
    checkout,
    home,
    output: path.join(directory, 'output'),
    owner,
    release,
    async sync(sourceDirectory, plan) {
      const keep = plan.commands.flatMap((command) => command.cacheDirectories).map((name) => path.join(plan.rootDirectory, name))
      await syncTree(sourceDirectory, checkout, { keep, owner })
      await setAside(checkout, outdated, asideOf(directory))
    },
    async installed(sourceDirectory, plan, envHash) {
      const skip = new Set<PlanCommand>()
      const sourceRoot = path.join(sourceDirectory, plan.rootDirectory)
      for (const command of plan.commands.filter((each) => each.step === 'install')) {
        roots.set(command, path.join(checkout, plan.rootDirectory))
        const key = await installKey(sourceRoot, plan, command, envHash)
        keys.set(command, key)
        const before = state.installs[command.command]
        const skippable = command.cacheKeyFiles.length > 0 && command.cacheDirectories.length > 0 && !(await hasInstallScript(sourceRoot, command))
        if (skippable && before?.key === key && before.intact === (await intactness(path.join(checkout, plan.rootDirectory), command)))
          skip.add(command)
        else delete state.installs[command.command]
      }
      const again = [...keys.keys()].filter((command) => !skip.has(command))
      outdated = again.flatMap(deletedFirst).map((name) => path.join(plan.rootDirectory, name))
      await save()
      return skip
    },
    async recordInstall(command) {
      const key = keys.get(command)
      const root = roots.get(command)
      if (!key || !root) return
      state.installs[command.command] = { key, intact: await intactness(root, command) }
      await save()
    },
    isCacheCleared: async () => (await lstat(clearedMark(directory)).catch(() => null)) !== null,
    endCacheCleared: () => rm(clearedMark(directory), { force: true }),
    readNote: async (name) => state.notes[name] ?? null,
    async writeNote(name, value) {
      state.notes[name] = value
      await save()
    },
  }
}

async function readState(file: string): Promise<Partial<State>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Partial<State>
  } catch {
    // State is missing or incomplete: the next build installs again.
    return {}
  }
}

async function installKey(root: string, plan: BuildPlan, command: PlanCommand, envHash: string): Promise<string> {
  const hash = createHash('sha256').update(
    JSON.stringify([plan.packageManager, plan.packageManagerVersion, plan.nodeMajor, plan.rootDirectory, command.command, envHash]),
  )
  for (const name of [...command.cacheKeyFiles].sort()) hash.update(`\0${name}\0`).update(await readRegular(path.join(root, name)))
  return hash.digest('hex')
}

/** Content of a regular file; links are not followed. */
async function readRegular(file: string): Promise<Buffer> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      return await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch {
    return Buffer.from('missing')
  }
}

async function hasInstallScript(root: string, command: PlanCommand): Promise<boolean> {
  const manifests = new Set(['package.json', ...command.cacheKeyFiles.filter((name) => path.basename(name) === 'package.json')])
  for (const name of manifests) {
    try {
      const { scripts } = JSON.parse((await readRegular(path.join(root, name))).toString('utf8')) as { scripts?: Record<string, unknown> }
      if (installScripts.some((script) => scripts?.[script] !== undefined)) return true
    } catch {
      // The manifest is missing or invalid for npm too.
    }
  }
  return false
}

/** Names that the install created, two levels deep for scopes. Names with a leading dot are caches that builds write. */
async function intactness(root: string, command: PlanCommand): Promise<string> {
  const hash = createHash('sha256')
  for (const directory of command.cacheDirectories) {
    const full = path.join(root, directory)
    const found = await lstat(full).catch(() => null)
    const names = found?.isDirectory() ? (await readdir(full)).filter((name) => !name.startsWith('.')).sort() : ['missing']
    hash.update(JSON.stringify([directory, names]))
    for (const name of names.filter((each) => each.startsWith('@')))
      hash.update(JSON.stringify((await readdir(path.join(full, name)).catch(() => [])).sort()))
  }
  return hash.digest('hex')
}
