import { DeploymentStatusBadge, Status } from '@/app/components/ui/status'
import { hostOf } from '@/app/lib/format'
import type { DeploymentHealth, DeploymentSummary, ProjectView } from '@/shared/views'

const troubles = { starting: 'Starting', crashing: 'Crashing', down: 'Down' } as const

/** True when the live deployment answers visitors with errors. */
export const hasTrouble = ({ state }: DeploymentHealth): boolean => state in troubles

/** Nothing for a deployment that is healthy or not live. */
export function HealthStatus({ health, pill = false }: { health: DeploymentHealth; pill?: boolean }) {
  if (health.state === 'none' || health.state === 'healthy') return null
  return (
    <span title={health.message ?? undefined}>
      <Status tone={health.state === 'starting' ? 'progress' : 'bad'} label={troubles[health.state]} pill={pill} />
    </span>
  )
}

/** True when the project has a live deployment but the routers close the project's own address. */
export function isClosed({ liveDeployment, edgeProblems, url }: ProjectView): boolean {
  const host = hostOf(url).replace(/:\d+$/, '')
  return liveDeployment !== null && edgeProblems.some(({ effect, hosts }) => effect === 'closed' && (hosts.length === 0 || hosts.includes(host)))
}

/** Of a project with a live deployment. */
export function LiveStatus({ project, pill = false }: { project: ProjectView; pill?: boolean }) {
  if (isClosed(project)) return <Status tone="bad" label="Closed" pill={pill} />
  return hasTrouble(project.health) ? <HealthStatus health={project.health} pill={pill} /> : <Status tone="good" label="Live" pill={pill} />
}

/** Its trouble when the deployment is live and visitors get errors, else its status. */
export function DeploymentCondition({ deployment }: { deployment: DeploymentSummary }) {
  return hasTrouble(deployment.health) ? <HealthStatus health={deployment.health} /> : <DeploymentStatusBadge deployment={deployment} />
}
