import pc from 'picocolors'
import type { RestAnswer } from '@/server/api/rest/client-types'
import type { EnvironmentView } from '@/shared/environments'
import { type ApiOptions, type Context, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { confirmByName } from '../prompt'
import { ago, table } from '../terminal'
import { followToEnd } from './deploy'

type ReleaseOptions = ApiOptions & { project?: string; environment?: string; yes?: boolean }

const environmentsOf = async ({ client }: Context, projectId: string, closed = false): Promise<EnvironmentView[]> =>
  (await client.call<RestAnswer<'GET /projects/{project}/environments'>>(`/projects/${projectId}/environments${closed ? '?closed=1' : ''}`)).items

/** @throws UsageError when the project has no such environment */
async function environmentNamed(context: Context, projectId: string, name = 'production'): Promise<EnvironmentView> {
  const all = await environmentsOf(context, projectId)
  const found = all.find((one) => one.name === name || one.id === name)
  if (found) return found
  const names = all.filter(({ template }) => !template).map((one) => one.name)
  throw new UsageError(`The project has no environment ${name}.`, `It has: ${names.join(', ')}`)
}

const named = (deployment: { id: string; commitMessage: string | null; createdAt: string }): string => {
  const subject = deployment.commitMessage?.split('\n')[0]
  return `${deployment.id}${subject ? ` (${subject})` : ''}, created ${ago(deployment.createdAt)}`
}

async function queue(context: Context, route: string, body: object): Promise<string> {
  return (await context.client.call<{ deploymentId: string }>(route, { method: 'POST', body })).deploymentId
}

/** Returns to the version before the live one, or to the named deployment, and waits until it is live. @returns the exit code */
export async function rollback(env: CliEnv, deploymentId: string | undefined, options: ReleaseOptions, signal: AbortSignal): Promise<number> {
  const context = await openContext(env, options, signal)
  const project = await currentProject(context, options.project)
  const environment = await environmentNamed(context, project.id, options.environment)
  const target = deploymentId ?? environment.rollbackTo?.id
  if (!target) throw new UsageError(`${project.name} has no earlier version in ${environment.name} to go back to.`)
  const { liveDeployment: live, rollbackTo } = environment
  const from = live ? `live now: ${named(live)}. ` : ''
  const to = rollbackTo?.id === target ? named(rollbackTo) : target
  await confirmByName(
    `${environment.name} of ${project.name}: ${from}Then live: ${to}. Pushes do not deploy until somebody resumes them.`,
    project.name,
    options,
  )
  return followToEnd(context, await queue(context, `/deployments/${encodeURIComponent(target)}/rollback`, {}), signal)
}

/** Releases the artifact of a deployment in another environment and waits until it is live. @returns the exit code */
export async function promote(
  env: CliEnv,
  deploymentId: string | undefined,
  options: ReleaseOptions & { from?: string },
  signal: AbortSignal,
): Promise<number> {
  const context = await openContext(env, options, signal)
  const project = await currentProject(context, options.project)
  const source = deploymentId ?? (options.from ? (await environmentNamed(context, project.id, options.from)).liveDeployment?.id : undefined)
  if (!source)
    throw new UsageError('Name what to promote.', `switchyard promote DEPLOYMENT --project ${project.slug}, or --from staging for what is live there`)
  const target = await environmentNamed(context, project.id, options.environment)
  await confirmByName(
    `Deployment ${source} goes live in ${target.name} of ${project.name}, with the variables of ${target.name}.`,
    project.name,
    options,
  )
  const id = await queue(context, `/deployments/${encodeURIComponent(source)}/promote`, { environment: target.id })
  return followToEnd(context, id, signal)
}

/** Starts the live version anew with the variables of now and waits until it serves. @returns the exit code */
export async function restart(env: CliEnv, options: ReleaseOptions, signal: AbortSignal): Promise<number> {
  const context = await openContext(env, options, signal)
  const project = await currentProject(context, options.project)
  const { id } = await environmentNamed(context, project.id, options.environment)
  return followToEnd(context, await queue(context, `/projects/${project.id}/restart`, { environment: id }), signal)
}

/** Lists the environments of a project: production, custom ones, previews. */
export async function listEnvironments(env: CliEnv, options: ApiOptions & { project?: string; closed?: boolean; previews?: boolean }): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const all = (await environmentsOf(context, project.id, options.closed)).filter(({ template }) => !template)
  const items = options.previews ? all.filter(({ kind }) => kind === 'preview') : all
  if (context.json) return printResult({ items })
  if (items.length === 0) return context.progress.note(`${project.name} has no preview. One is made for each pull request.`)
  const rows = items.map((one) => [
    one.name,
    stateOf(one),
    one.branch ?? '',
    one.liveDeployment
      ? `${one.liveDeployment.id} ${pc.dim(ago(one.liveDeployment.liveAt ?? one.liveDeployment.createdAt))}`
      : pc.dim('nothing live'),
    one.title ?? '',
    one.url ?? '',
  ])
  printResult(table([['ENVIRONMENT', 'STATE', 'BRANCH', 'LIVE', 'TITLE', 'URL'].map(pc.dim), ...rows]))
}

function stateOf({ closedAt, lock, paused, fork, approval }: EnvironmentView): string {
  if (closedAt) return pc.dim('closed')
  if (lock) return pc.red('locked')
  if (fork && !approval) return pc.cyan('waits for approval')
  return paused ? pc.cyan('pushes paused') : pc.green('open')
}
