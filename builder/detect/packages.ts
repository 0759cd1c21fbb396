import path from 'node:path'
import { parse } from 'yaml'
import type { TreeFiles } from '@/builder/tree-files'
import type { PackageManager } from '@/shared/build-plan'
import type { Packages } from './detection'
import { lockedVersion, maxLockBytes, pnpmVersionFor, yarnVersionFor } from './lock-file'
import { type PackageJson, readPackageJson } from './package-json'

const lockNames: [string, Exclude<PackageManager, 'none'>][] = [
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
]
const settingFiles = ['.npmrc', 'pnpm-workspace.yaml', '.pnpmfile.cjs', '.yarnrc.yml', '.yarnrc']
const patchDirectories = ['patches', '.yarn/patches']
/** Install hooks that do not read the source, so the install can be skipped despite them. */
const harmlessHook =
  /^(husky( install)?|is-ci \|\| husky( install)?|husky( install)? \|\| (true|exit 0)|lefthook install|simple-git-hooks|patch-package|only-allow \w+|npx only-allow \w+)$/
const maxMembers = 200
const maxDepth = 4

export interface PackagesChoice extends Packages {
  workspaceRoot: string
  evidence: { file: string; found: string }[]
  warnings: string[]
  /** Locked version of a direct dependency. */
  locked: (dependency: string) => string | null
}

const join = (directory: string, name: string) => (directory === '' ? name : `${directory}/${name}`)
/** Path of `target` relative to `from`; both are relative to the tree. */
const seenFrom = (from: string, target: string) => path.posix.relative(`/${from}`, `/${target}`) || '.'

/** Finds the closest directory at or above the root directory that owns the packages: it has a lock file or is a workspace. */
async function findOwner(tree: TreeFiles, rootDirectory: string): Promise<string> {
  const hasLock = async (directory: string) => (await Promise.all(lockNames.map(([name]) => tree.isFile(join(directory, name))))).some(Boolean)
  if (rootDirectory === '' || (await hasLock(rootDirectory))) return rootDirectory
  for (let directory = path.posix.dirname(rootDirectory); ; directory = path.posix.dirname(directory)) {
    const here = directory === '.' ? '' : directory
    if (await tree.isFile(join(here, 'pnpm-workspace.yaml'))) return here
    if ((await readPackageJson(tree, here))?.hasWorkspaces) return here
    if (here === '') return rootDirectory
  }
}

/** Directories with a package.json at or below `owner`; null: too many. */
async function listMembers(tree: TreeFiles, owner: string): Promise<string[] | null> {
  const members: string[] = []
  async function visit(directory: string, depth: number): Promise<void> {
    if (members.length > maxMembers) return
    if (await tree.isFile(join(directory, 'package.json'))) members.push(directory)
    if (depth === maxDepth) return
    for (const name of await tree.list(directory)) {
      if (name === 'node_modules' || name.startsWith('.')) continue
      if (await tree.isDirectory(join(directory, name))) await visit(join(directory, name), depth + 1)
    }
  }
  await visit(owner, 0)
  return members.length > maxMembers ? null : members
}

function fromField(field: string | null): { manager: PackageManager; version: string | null } | null {
  const match = /^(npm|pnpm|yarn)@(\d+(?:\.\d+){0,2}(?:-[\w.]{1,30})?)/.exec(field ?? '')
  if (!match) return null
  return { manager: match[1] as PackageManager, version: match[1] === 'npm' ? null : (match[2] ?? null) }
}

function installCommandOf(manager: PackageManager, version: string | null, hasLock: boolean): string {
  // Install development dependencies even if a variable sets NODE_ENV=production, because builds need them.
  if (manager === 'pnpm') return hasLock ? 'pnpm install --frozen-lockfile --prod=false' : 'pnpm install --no-frozen-lockfile --prod=false'
  if (manager === 'yarn') {
    if (version !== null && !version.startsWith('1')) return hasLock ? 'yarn install --immutable' : 'yarn install --no-immutable'
    return hasLock ? 'yarn install --frozen-lockfile --production=false' : 'yarn install --production=false'
  }
  return hasLock ? 'npm ci --include=dev' : 'npm install --include=dev'
}

async function yarnEnv(tree: TreeFiles, owner: string, version: string | null, warnings: string[]): Promise<Record<string, string>> {
  if (version === null || version.startsWith('1')) return {}
  let linker: unknown
  try {
    linker = parse((await tree.read(join(owner, '.yarnrc.yml'), 64 * 1024)) ?? '')?.nodeLinker
  } catch {
    warnings.push('.yarnrc.yml is not valid YAML')
  }
  const env: Record<string, string> = { YARN_ENABLE_TELEMETRY: '0' }
  if (linker === undefined || linker === 'pnp') {
    // The lock file is the same for both linkers; frameworks trace a plain node_modules, and apps start without a loader.
    env.YARN_NODE_LINKER = 'node-modules'
    warnings.push('Yarn Plug’n’Play is replaced by node_modules during the build')
  }
  return env
}

/** Whether the install may read files other than the key files, so that it cannot be skipped. */
function readsSource(packages: (PackageJson | null)[]): boolean {
  return packages.some((json) => {
    if (!json) return false
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare'].map((name) => json.scripts[name]).filter((hook) => hook !== undefined)
    return hooks.some((hook) => !harmlessHook.test(hook.trim())) || Object.values(json.dependencies).some((range) => /^(file|portal):/.test(range))
  })
}

async function keyFilesOf(tree: TreeFiles, owner: string, members: string[], lockName: string | null): Promise<string[]> {
  const wanted = [
    ...settingFiles.map((name) => join(owner, name)),
    ...members.map((member) => join(member, 'package.json')),
    ...members.map((member) => join(member, '.npmrc')),
  ]
  const files = new Set(lockName ? [join(owner, lockName)] : [])
  for (const file of wanted) if (await tree.isFile(file)) files.add(file)
  for (const directory of patchDirectories) for (const name of await tree.list(join(owner, directory))) files.add(join(owner, `${directory}/${name}`))
  return [...files].sort()
}

const nothing: PackagesChoice = {
  manager: 'none',
  version: null,
  installCommand: null,
  keyFiles: [],
  moduleDirectories: [],
  env: {},
  workspaceRoot: '',
  evidence: [],
  warnings: [],
  locked: () => null,
}

/** Chooses the package manager, the directory of the install, and when it can be skipped. */
export async function choosePackages(tree: TreeFiles, rootDirectory: string, packageJson: PackageJson | null): Promise<PackagesChoice> {
  if (!packageJson) return nothing
  const owner = await findOwner(tree, rootDirectory)
  const ownerJson = owner === rootDirectory ? packageJson : await readPackageJson(tree, owner)
  const found: [string, Exclude<PackageManager, 'none'>][] = []
  for (const entry of lockNames) if (await tree.isFile(join(owner, entry[0]))) found.push(entry)
  const field = fromField(packageJson.packageManager) ?? fromField(ownerJson?.packageManager ?? null)
  const manager = field?.manager ?? found[0]?.[1] ?? 'npm'
  const lockName = found.find(([, lockManager]) => lockManager === manager)?.[0] ?? null
  const lockText = lockName === null ? null : await tree.read(join(owner, lockName), maxLockBytes)
  const version = field?.version ?? (manager === 'pnpm' ? pnpmVersionFor(lockText) : manager === 'yarn' ? yarnVersionFor(lockText) : null)

  const warnings: string[] = []
  const hasBun = (await tree.isFile(join(owner, 'bun.lock'))) || (await tree.isFile(join(owner, 'bun.lockb')))
  const dependencyCount = Object.keys(packageJson.dependencies).length
  const isWorkspace = owner !== rootDirectory || (ownerJson?.hasWorkspaces ?? false) || (await tree.isFile(join(owner, 'pnpm-workspace.yaml')))
  if (lockName === null && dependencyCount === 0 && !isWorkspace)
    return { ...nothing, manager, version, evidence: [{ file: 'package.json', found: 'no dependencies' }] }
  if (lockName === null)
    warnings.push(
      hasBun
        ? 'The lock file of Bun is not used: versions are chosen anew on every install. Commit a lock file of npm, pnpm or Yarn'
        : `No lock file for ${manager}: versions are chosen anew on every install. Commit one to make builds repeatable`,
    )
  if (found.length > 1) warnings.push(`Several lock files (${found.map(([name]) => name).join(', ')}): ${lockName ?? 'none of them'} is used`)

  const members = isWorkspace ? await listMembers(tree, owner) : [rootDirectory]
  const memberJsons = await Promise.all((members ?? []).map((member) => readPackageJson(tree, member).catch(() => null)))
  const canSkip = lockName !== null && members !== null && !readsSource(memberJsons)
  const keyFiles = canSkip ? await keyFilesOf(tree, owner, members, lockName) : []
  const moduleHomes = new Set([owner, rootDirectory, ...(members ?? [])])
  return {
    manager,
    version,
    installCommand: installCommandOf(manager, version, lockName !== null),
    keyFiles: keyFiles.map((file) => seenFrom(rootDirectory, file)),
    moduleDirectories: [...moduleHomes].sort().map((home) => seenFrom(rootDirectory, join(home, 'node_modules'))),
    env: manager === 'yarn' ? await yarnEnv(tree, owner, version, warnings) : {},
    workspaceRoot: owner === rootDirectory ? '' : seenFrom(rootDirectory, owner),
    evidence: [{ file: lockName === null ? 'package.json' : join(owner, lockName), found: `${manager}${version === null ? '' : ` ${version}`}` }],
    warnings,
    locked: (dependency) => (lockText === null || lockName === null ? null : lockedVersion(lockText, lockName, dependency)),
  }
}
