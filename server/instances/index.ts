import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import type { InstanceView, LogLineView } from '@/shared/views'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { readInstanceLogs } from '../deployments/logs'
import type { ChangeBus } from '../events/bus'
import { requireProject } from '../projects/read'

/** Stopped instances listed in addition to running instances. */
const shownStopped = 10

export interface Instances {
  list(actor: Actor, projectId: string): Promise<InstanceView[]>
  logs(
    actor: Actor,
    instanceId: string,
    query: { after?: string | undefined; tail?: number | undefined; follow: boolean; signal: AbortSignal },
  ): AsyncIterable<LogLineView>
}

export function createInstances(deps: { prisma: PrismaClient; runtime: Runtime; bus: ChangeBus }): Instances {
  return {
    async list(actor, project) {
      const db = scopeTo(deps.prisma, actor)
      const { id: projectId } = await requireProject(db, project)
      const running = await db.instance.findMany({ where: { projectId, state: { not: 'stopped' } }, orderBy: { createdAt: 'desc' } })
      const stopped = await db.instance.findMany({ where: { projectId, state: 'stopped' }, orderBy: { createdAt: 'desc' }, take: shownStopped })
      return Promise.all([...running, ...stopped].map((row) => present(deps.runtime, row)))
    },
    logs: (actor, instanceId, query) => readInstanceLogs(deps, actor, instanceId, query),
  }
}

async function present(runtime: Runtime, row: Instance): Promise<InstanceView> {
  // An instance that has just exited has no statistics: not an error.
  const stats = row.state === 'stopped' ? null : await runtime.stats(row.id).catch(() => null)
  return {
    id: row.id,
    projectId: row.projectId,
    deploymentId: row.deploymentId,
    runtime: row.runtime as InstanceView['runtime'],
    slot: row.slot as InstanceView['slot'],
    state: row.state,
    address: row.host && row.port ? `${row.host}:${row.port}` : null,
    startedAt: row.startedAt?.toISOString() ?? null,
    stoppedAt: row.stoppedAt?.toISOString() ?? null,
    exit: row.exit as InstanceView['exit'],
    stats: stats && { cpuSeconds: stats.cpuSeconds, memoryBytes: stats.memoryBytes, memoryLimitBytes: stats.memoryLimitBytes, pids: stats.pids },
  }
}
