import { chmod, constants, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { type HostEnv, networkEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import { baseEnv, exec } from '@/shared/node/exec'

/** Packages of the npm registry that the platform itself uses, kept under `<home>/tools`. */
export interface Tools {
  /** Path of a Node binary of this major version; the platform's own when it fits. */
  node(major: number): Promise<string>
  /** The same where every user of this machine can run it: ours may lie in a person's home. */
  sharedNode(major: number): Promise<string>
  /** Directory with `bin/pnpm` or `bin/yarn`, for the PATH of a build; null for npm. */
  packageManager(name: 'npm' | 'pnpm' | 'yarn' | 'none', version: string | null): Promise<string | null>
}

const installDeadlineMs = 180_000
/** Used when a project does not name a version in `packageManager`. */
const defaultVersions = { pnpm: '10', yarn: '1.22.22' } as const

export function createTools(options: { directory: string; nodeBinary: string; hostEnv: HostEnv; caFile: string | null }): Tools {
  const running = new Map<string, Promise<string>>()
  const once = (name: string, spec: string): Promise<string> => {
    const known = running.get(name)
    if (known) return known
    const work = install(name, spec).catch((error) => {
      running.delete(name)
      throw error
    })
    running.set(name, work)
    return work
  }
  async function install(name: string, spec: string): Promise<string> {
    const directory = path.join(options.directory, name)
    // The lock file is written last by npm: without it the installation was cut off.
    if (await exists(path.join(directory, 'package-lock.json'))) return directory
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
      npm_config_prefer_offline: 'true',
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
  let own: Promise<number> | null = null
  const ownMajor = () =>
    (own ??= exec([options.nodeBinary, '--version'], { deadlineMs: 10_000 }).then((result) => Number(/^v(\d+)/.exec(result.stdout)?.[1] ?? 0)))
  const ownShared = async (): Promise<string> => {
    const target = path.join(options.directory, `node-own-${(await stat(options.nodeBinary)).mtimeMs.toFixed(0)}`, 'bin', 'node')
    if (await exists(target)) return target
    await mkdir(path.dirname(target), { recursive: true, mode: 0o755 })
    const temp = `${target}.${process.pid}.tmp`
    await rm(temp, { force: true })
    // A second name costs nothing; on another file system it is a copy.
    await link(options.nodeBinary, temp).catch(() => copyFile(options.nodeBinary, temp, constants.COPYFILE_FICLONE))
    await chmod(temp, 0o755)
    await rename(temp, target)
    return target
  }
  const node = async (major: number): Promise<string> => {
    if ((await ownMajor()) === major) return options.nodeBinary
    const name = `node-linux-${process.arch}`
    return path.join(await once(`node-${major}`, `${name}@${major}`), 'node_modules', name, 'bin', 'node')
  }
  return {
    node,
    sharedNode: async (major) => ((await ownMajor()) === major && process.getuid?.() === 0 ? ownShared() : node(major)),
    async packageManager(name, version) {
      if (name === 'npm' || name === 'none') return null
      const wanted = version ?? defaultVersions[name]
      if (!/^[\w.^~+-]+$/.test(wanted))
        throw new AppError('ERR_DETECT', `"${wanted}" is no version of ${name}.`, { nextAction: 'Correct "packageManager" in package.json.' })
      // Yarn 2 and later live in another package; its `cli-dist` is one file.
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
