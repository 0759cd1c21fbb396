import type { Subscriber } from '../outbox/relay'

/** Marks the deployments of these events as to be reported, if their project is connected to its Git host. */
export const forgeFanOut: Subscriber = {
  async take(tx, messages) {
    const named = messages.filter(
      ({ kind, projectId, payload }) => kind.startsWith('deployment.') && projectId && typeof payload.deploymentId === 'string',
    )
    if (named.length === 0) return
    const projectIds = named.flatMap(({ projectId }) => projectId ?? [])
    const connected = new Set(
      (await tx.forgeConnection.findMany({ where: { projectId: { in: projectIds } }, select: { projectId: true } })).map((row) => row.projectId),
    )
    const due = new Map(named.map((message) => [String(message.payload.deploymentId), message]))
    for (const [deploymentId, { teamId, projectId }] of due) {
      if (!projectId || !connected.has(projectId)) continue
      const dueAt = new Date()
      await tx.forgeReport.upsert({
        where: { deploymentId },
        create: { deploymentId, teamId, projectId, dueAt },
        update: { dueAt, attempts: 0 },
      })
    }
  },
}
