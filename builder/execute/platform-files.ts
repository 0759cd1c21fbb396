import { readFile } from 'node:fs/promises'
import type { BuildPlan } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import type { ArchiveEntry } from './archive'

/** Where the platform's static server lies in an artifact: `start.argv` of a static site names it. */
export const staticServerPath = '.switchyard/static-server.mjs'

/** Files the platform itself adds to an artifact. */
export async function platformFiles(plan: BuildPlan, staticServerFile: string): Promise<ArchiveEntry[]> {
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
