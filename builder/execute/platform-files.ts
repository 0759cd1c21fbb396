import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { nextFiles } from '@/builder/plan/next-finish'
import { packageManagerPath } from '@/builder/plan/start'
import type { BuildPlan } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { cacheDirectory } from '@/shared/release'
import { type ArchiveEntry, directoryEntries } from './archive'

/** Path of the static server in an artifact; `start.argv` of a static site refers to it. */
export const staticServerPath = '.switchyard/static-server.mjs'

/** What the platform's files in an artifact are taken from. */
export interface PlatformSources {
  staticServerFile: string
  /** `node_modules` with the pnpm or Yarn of the build; null: npm or none. */
  packageManagerDirectory: string | null
}

/** Files the platform itself adds to an artifact. */
export async function platformFiles(plan: BuildPlan, from: PlatformSources): Promise<ArchiveEntry[]> {
  const { packageManagerDirectory } = from
  const manager = plan.packageManagerAtStart && packageManagerDirectory ? await directoryEntries(packageManagerDirectory, packageManagerPath) : []
  if (plan.nextDirectory !== undefined) return [...filesOfNext(plan.nextDirectory), ...manager]
  return plan.staticSite ? [await staticServer(from.staticServerFile)] : manager
}

/** Name and exact version of the pnpm or Yarn in a directory of `Tools.packageManager`; null: npm or none. */
export async function packageManagerIn(plan: BuildPlan, directory: string | null): Promise<string | null> {
  if (directory === null) return null
  const { packageManager: name } = plan
  const read = (folder: string) => readFile(path.join(directory, folder, 'package.json'), 'utf8')
  // Yarn 2 and later.
  const text = await read(name).catch(() => read('@yarnpkg/cli-dist'))
  return `${name}@${(JSON.parse(text) as { version: string }).version}`
}

async function staticServer(staticServerFile: string): Promise<ArchiveEntry> {
  const content = await readFile(staticServerFile).catch((cause) => {
    throw new AppError('ERR_INTERNAL', 'The static server of the platform is missing.', {
      cause,
      step: 'package',
      nextAction: 'Run "npm run build" in the directory of Switchyard.',
    })
  })
  return { name: staticServerPath, type: 'file', mode: 0o644, size: content.length, content }
}

/** Next.js writes images and fetched data to `<dist>/cache`. A release is read-only, so this is a link to its writable directory. */
function filesOfNext(nextDirectory: string): ArchiveEntry[] {
  const files = Object.entries(nextFiles(nextDirectory)).map(([name, text]): ArchiveEntry => {
    const content = Buffer.from(text)
    return { name, type: 'file', mode: 0o644, size: content.length, content }
  })
  return [
    ...files,
    { name: `${nextDirectory}/cache`, type: 'symlink', mode: 0o777, size: 0, linkname: path.posix.relative(nextDirectory, cacheDirectory) },
  ]
}
