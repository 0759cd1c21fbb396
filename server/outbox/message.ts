import type { Event, Prisma } from '@/server/database/generated/client'
import { type Edge, projectUrl } from '../deployments/present'

/** An event as subscribers receive it. */
export interface OutboxMessage {
  /** Unique over installations: the id of the team and of the row. */
  id: string
  eventId: bigint
  teamId: string
  projectId: string | null
  kind: string
  payload: Prisma.JsonObject
  /** JSON that webhooks and NATS send; the same bytes in every attempt. */
  body: string
}

const deploymentSelect = {
  id: true,
  branch: true,
  commitSha: true,
  commitMessage: true,
  commitAuthor: true,
  environment: { select: { id: true, name: true, kind: true } },
} as const satisfies Prisma.DeploymentSelect
type DeploymentFacts = Prisma.DeploymentGetPayload<{ select: typeof deploymentSelect }>

/** Reads what the messages say of projects and deployments, with two queries for any number of events. */
export async function describeEvents(tx: Prisma.TransactionClient, rows: readonly Event[], edge: Edge): Promise<OutboxMessage[]> {
  const named = rows.map((row) => ({ row, payload: payloadOf(row) }))
  const deploymentIds = named.flatMap(({ payload }) => (typeof payload.deploymentId === 'string' ? payload.deploymentId : []))
  const projectIds = rows.flatMap(({ projectId }) => projectId ?? [])
  const [projects, deployments] = await Promise.all([
    tx.project.findMany({ where: { id: { in: projectIds } }, select: { id: true, name: true, slug: true } }),
    tx.deployment.findMany({ where: { id: { in: deploymentIds } }, select: deploymentSelect }),
  ])
  const projectOf = new Map(projects.map((one) => [one.id, { ...one, url: projectUrl(one.slug, edge) }]))
  const deploymentOf = new Map(deployments.map((one) => [one.id, one]))
  return named.map(({ row, payload }) => {
    const id = `${row.teamId}_${row.id}`
    // null: it was removed since the event was written.
    const project = row.projectId === null ? null : (projectOf.get(row.projectId) ?? null)
    const deployment = presentDeployment(deploymentOf.get(String(payload.deploymentId)))
    const data = { ...payload, teamId: row.teamId, projectId: row.projectId, project, ...(deployment ? { deployment } : {}) }
    const body = JSON.stringify({ id, type: row.kind, timestamp: row.createdAt.toISOString(), data })
    return { id, eventId: row.id, teamId: row.teamId, projectId: row.projectId, kind: row.kind, payload, body }
  })
}

const payloadOf = ({ payload }: Event): Prisma.JsonObject =>
  payload !== null && typeof payload === 'object' && !Array.isArray(payload) ? payload : {}

function presentDeployment(row: DeploymentFacts | undefined) {
  if (!row) return null
  const { environment, ...facts } = row
  return { ...facts, environment: { ...environment, kind: environment.kind.toLowerCase() } }
}
