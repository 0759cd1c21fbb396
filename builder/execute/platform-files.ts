import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { nextFiles } from '@/builder/plan/next-finish'
import type { BuildPlan } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { cacheDirectory } from '@/shared/release'
import type { ArchiveEntry } from './archive'

/** Path of the static server in an artifact; `start.argv` of a static site refers to it. */
export const staticServerPath = '.switchyard/static-server.mjs'

/** Files that the platform adds to an artifact. */
export async function platformFiles(plan: BuildPlan, staticServerFile: string): Promise<ArchiveEntry[]> {
  if (plan.nextDirectory !== undefined) return filesOfNext(plan.nextDirectory)
  if (!plan.staticSite) return []
  const content = await readFile(staticServerFile).catch((cause) => {
    throw new AppError('ERR_INTERNAL', 'The static server of the platform is missing.', {
      cause,
      step: 'package',
      nextAction: 'Run "npm run build" in the directory of Switchyard.',
    })
  })
  return [{ name: staticServerPath, type: 'file', mode: 0o644, size: content.length, content }]
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
