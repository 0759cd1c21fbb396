import type { Deployment, Environment, Prisma, Project } from '@/server/database/generated/client'
import type { ForgeProvider } from '@/shared/forges'
import { deploymentTraits } from '@/shared/states'
import { type Edge, projectUrl } from '../deployments/present'
import type { Report, ReportState } from './forge'

export interface ReportPlaces {
  edge: Edge
  /** Base URL of the dashboard without a trailing slash. */
  dashboardUrl: string
}

export const reportInclude = { environment: { include: { project: true } } } as const satisfies Prisma.DeploymentInclude
type Row = Deployment & { environment: Environment & { project: Project } }

const states: Readonly<Record<Deployment['status'], ReportState>> = {
  PENDING: 'pending',
  BUILDING: 'running',
  DEPLOYING: 'running',
  ACTIVE: 'success',
  SUPERSEDED: 'success',
  ROLLED_BACK: 'success',
  FAILED: 'failure',
  CANCELED: 'canceled',
}

const sentences: Readonly<Record<ReportState, string>> = {
  pending: 'The deployment is queued.',
  running: 'The deployment is running.',
  success: 'The deployment is ready.',
  failure: 'The deployment failed.',
  canceled: 'The deployment was canceled.',
}

/** What the Git host is told of a deployment; null: its commit is not known, as with an upload. */
export function reportOf(row: Row, { edge, dashboardUrl }: ReportPlaces): Report | null {
  const { id, commitSha, status, environment } = row
  if (!commitSha) return null
  const { project } = environment
  const isProduction = environment.kind === 'PRODUCTION'
  const state = states[status]
  return {
    deploymentId: id,
    commitSha,
    ref: row.branch,
    state,
    context: isProduction ? `switchyard/${project.slug}` : `switchyard/${project.slug}/${environment.name}`,
    description: sentences[state],
    environment: isProduction ? project.slug : `${project.slug}/${environment.name}`,
    isProduction,
    pageUrl: `${dashboardUrl}/${project.slug}/deployments/${id}`,
    environmentUrl: projectUrl(environment.slug, edge),
    createdAt: row.createdAt,
  }
}

/** Marker that identifies our comment. It contains the random id of the environment, so a stranger cannot create a matching comment in advance. */
export const markerOf = (environmentId: string): string => `switchyard:${environmentId}`

/** The comment of a pull request, about the newest deployment of its environment. Equal for equal facts, so that a repetition changes nothing. */
export function commentText(provider: ForgeProvider, row: Row, report: Report): string {
  const marker = markerOf(row.environmentId)
  // Bitbucket shows HTML comments as text and hides definitions of links.
  const hidden = provider === 'bitbucket' ? `[//]: # (${marker})` : `<!-- ${marker} -->`
  const at = (row.liveAt ?? row.endedAt ?? row.createdAt).toISOString().slice(0, 16).replace('T', ' ')
  const preview = report.state === 'success' ? `[Visit](${report.environmentUrl})` : '–'
  return [
    hidden,
    '',
    `| Project | Deployment | Preview | Commit | Updated (UTC) |`,
    '| --- | --- | --- | --- | --- |',
    `| ${cell(row.environment.project.name)} | [${deploymentTraits[row.status].label}](${report.pageUrl}) | ${preview} | ${report.commitSha.slice(0, 10)} | ${at} |`,
  ].join('\n')
}

/** Text of a person within a table of Markdown. */
const cell = (text: string): string => text.replace(/[\\|`*_<>[\]\r\n@#]/g, ' ')
