import type { ClearedCacheView } from '@/shared/views'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { confirmByName } from '../prompt'
import { bytes } from '../terminal'

/** Clears the build cache of a project after a confirmation. */
export async function clearCache(env: CliEnv, options: ApiOptions & { project?: string; yes?: boolean }): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  await confirmByName(`The next build of ${project.name} begins from nothing and takes longer.`, project.name, options)
  const done = await context.client.call<ClearedCacheView>(`/projects/${encodeURIComponent(project.id)}/build-cache`, { method: 'DELETE' })
  if (context.json) return printResult(done)
  context.progress.done(`The build cache of ${project.name} is cleared`, `${bytes(done.freedBytes)} freed`)
}
