import type { RestAnswer } from '@/server/api/rest/client-types'
import { purgeInput } from '@/shared/purge'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'

/** Purges cached responses of a project from the routers: by tag, by path, or all. */
export async function purge(env: CliEnv, options: ApiOptions & { project?: string; tag: string[]; path: string[] }): Promise<void> {
  const wish = purgeInput.safeParse({ tags: options.tag, paths: options.path })
  if (!wish.success) {
    const issue = wish.error.issues[0]
    throw new UsageError(`${issue?.message ?? 'This cannot be purged.'}`, "For example: switchyard purge --tag posts --path '/blog/*'")
  }
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const done = await context.client.call<RestAnswer<'POST /projects/{project}/purge'>>(`/projects/${encodeURIComponent(project.id)}/purge`, {
    method: 'POST',
    body: wish.data,
    idempotent: true,
  })
  if (context.json) return printResult(done)
  const what = done.entries === 0 ? 'nothing was kept of that' : `${done.entries} ${done.entries === 1 ? 'answer' : 'answers'} removed`
  context.progress.done(`${project.name} is purged`, `${what}, on ${done.routers} ${done.routers === 1 ? 'router' : 'routers'}`)
}
