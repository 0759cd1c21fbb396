import { Status } from '@/app/components/ui/status'
import { hostOf } from '@/app/lib/format'
import type { ProjectView } from '@/shared/views'

/** Its live deployment serves, and yet the routers let nobody in at the project's own address. */
export function isClosed({ liveDeployment, edgeProblems, url }: ProjectView): boolean {
  const host = hostOf(url).replace(/:\d+$/, '')
  return liveDeployment !== null && edgeProblems.some(({ effect, hosts }) => effect === 'closed' && (hosts.length === 0 || hosts.includes(host)))
}

/** Of a project with a live deployment. */
export function LiveStatus({ project, pill = false }: { project: ProjectView; pill?: boolean }) {
  return isClosed(project) ? <Status tone="bad" label="Closed" pill={pill} /> : <Status tone="good" label="Live" pill={pill} />
}
