import pc from 'picocolors'
import type { RestAnswer } from '@/server/api/rest/client-types'
import { type DeploymentStatus, deploymentTraits } from '@/shared/states'
import type { DeploymentHealth } from '@/shared/views'
import { type ApiOptions, type Context, currentProject, listProjects, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ago, seconds, table } from '../terminal'

const tones = { neutral: pc.dim, progress: pc.cyan, good: pc.green, bad: pc.red }
const status = (value: DeploymentStatus): string => tones[deploymentTraits[value].tone](deploymentTraits[value].label)

/** State of the live deployment; empty if not live. */
const healthCell = ({ state }: DeploymentHealth): string =>
  ({ none: '', healthy: pc.green('live'), starting: pc.cyan('starting'), crashing: pc.red('crashing'), down: pc.red('down') })[state]

/** Lists the projects of the team, or the deployments of a project. */
export async function list(env: CliEnv, named: string | undefined, options: ApiOptions & { limit: string; status?: string }): Promise<void> {
  if (options.status && !named)
    throw new UsageError('--status is about the deployments of one project.', 'For example: switchyard ls shop --status failed')
  const context = await openContext(env, options)
  if (named) return listDeployments(context, named, options)
  const projects = await listProjects(context.client)
  if (context.json) return printResult({ items: projects })
  if (projects.length === 0) return context.progress.note('No project yet. Deploy a folder: switchyard deploy path/to/app --project NAME')
  const rows = projects.map((project) => [
    project.slug,
    project.latestDeployment ? status(project.latestDeployment.status) : pc.dim('Not deployed'),
    healthCell(project.health),
    project.framework ?? '',
    project.latestDeployment ? ago(project.latestDeployment.createdAt) : '',
    project.url,
  ])
  printResult(table([['PROJECT', 'LATEST', 'LIVE', 'FRAMEWORK', 'DEPLOYED', 'URL'].map(pc.dim), ...rows]))
}

async function listDeployments(context: Context, named: string, wanted: { limit: string; status?: string }): Promise<void> {
  const project = await currentProject(context, named)
  const query = new URLSearchParams({ projectId: project.id, limit: wanted.limit, ...(wanted.status ? { status: wanted.status.toUpperCase() } : {}) })
  const page = await context.client.call<RestAnswer<'GET /deployments'>>(`/deployments?${query}`)
  if (context.json) return printResult(page)
  if (page.items.length === 0)
    return context.progress.note(wanted.status ? `${project.name} has no deployment in this status.` : `${project.name} was not deployed yet.`)
  const rows = page.items.map((item) => [
    item.id,
    status(item.status),
    healthCell(item.health),
    item.durationMs === null ? '' : seconds(item.durationMs),
    ago(item.createdAt),
    item.commitMessage?.split('\n')[0]?.slice(0, 50) ?? item.source.kind,
    item.url,
  ])
  printResult(table([['DEPLOYMENT', 'STATUS', '', 'TOOK', 'CREATED', 'SOURCE', 'URL'].map(pc.dim), ...rows]))
}
