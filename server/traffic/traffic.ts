import type { Pool } from 'pg'
import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { RequestFilter, RequestView, TargetEventView, TrafficRange, TrafficSeries } from '@/shared/traffic'
import type { Actor } from '../actor'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import type { LinkHub } from '../link/hub'
import { requireProject } from '../projects/read'
import { expiriesOf } from './expiries'
import { healthEventKinds } from './health-events'
import { metricsText } from './metrics'
import type { FollowQuery } from './requests'
import { followRequests, listRequests } from './requests'
import { readSeries } from './series'
import type { TrafficTotals } from './totals'

export interface TrafficDeps {
  prisma: PrismaClient
  pool: Pool
  bus: ChangeBus
  /** null: this process has no routers (role `web` alone), so metrics are unavailable. */
  edge: { hub: Pick<LinkHub, 'status' | 'inFlight'>; totals: TrafficTotals } | null
}

const inFlightDeadlineMs = 1_000
const shownEvents = 20

export interface Traffic {
  /** Counts, bytes and percentiles of a project over a range. */
  series(actor: Actor, projectId: string, query: { range: TrafficRange; host?: string | undefined }): Promise<TrafficSeries>
  /** Stored requests: all errors and a sample of the others; newest first. */
  requests(
    actor: Actor,
    projectId: string,
    query: RequestFilter & { limit: number; cursor?: string | undefined },
  ): Promise<{ items: RequestView[]; nextCursor: string | null }>
  /** Recent requests, then new ones. While it is read, routers report all requests of the project. */
  follow(actor: Actor, projectId: string, query: FollowQuery): AsyncIterable<RequestView>
  /** Ejections and restorations of instances, newest first. */
  targetEvents(actor: Actor, projectId: string): Promise<TargetEventView[]>
  /** The team's metrics in Prometheus format. @throws ERR_UNAVAILABLE in a process without routers */
  metrics(actor: Actor): Promise<string>
}

/** Use-cases about traffic. Each first checks that the project belongs to the actor's team. */
export function createTraffic(deps: TrafficDeps): Traffic {
  const { prisma, pool, bus } = deps
  return {
    async series(actor, project, query) {
      const { id: projectId } = await requireProject(scopeTo(prisma, actor), project)
      return readSeries(pool, { teamId: actor.teamId, projectId, range: query.range, host: query.host })
    },
    async requests(actor, project, { limit, cursor, ...filter }) {
      const db = scopeTo(prisma, actor)
      const { id: projectId } = await requireProject(db, project)
      return listRequests(db, projectId, filter, { limit, cursor })
    },
    async *follow(actor, project, query) {
      if (query.after !== undefined && !/^\d{1,18}$/.test(query.after))
        throw new AppError('ERR_INVALID_INPUT', 'The position of a stream is a number (Last-Event-ID).')
      const { id: projectId } = await requireProject(scopeTo(prisma, actor), project)
      yield* followRequests({ prisma, bus }, actor, projectId, query)
    },
    async targetEvents(actor, project) {
      const db = scopeTo(prisma, actor)
      const { id: projectId } = await requireProject(db, project)
      const rows = await db.event.findMany({
        where: { projectId, kind: { in: [...healthEventKinds] } },
        orderBy: { id: 'desc' },
        take: shownEvents,
      })
      return rows.map((row): TargetEventView => {
        const { instanceId, reason } = row.payload as { instanceId: string; reason: string }
        const state = row.kind === 'instance.ejected' ? 'ejected' : 'restored'
        return { id: String(row.id), at: row.createdAt.toISOString(), instanceId, reason, state }
      })
    },
    metrics: async (actor) => readMetrics(deps, scopeTo(prisma, actor)),
  }
}

async function readMetrics({ edge }: TrafficDeps, db: ScopedClient): Promise<string> {
  if (!edge)
    throw new AppError('ERR_UNAVAILABLE', 'This process serves the dashboard alone and knows no figures of the routers.', {
      nextAction: 'Scrape the process that has the role "worker".',
    })
  const { hub, totals } = edge
  const [projects, instances, certificates] = await Promise.all([
    db.project.findMany({ select: { id: true, slug: true } }),
    db.instance.findMany({ where: { state: { notIn: ['stopped', 'sleeping'] } }, select: { id: true, projectId: true } }),
    db.certificate.findMany({
      where: { notAfter: { not: null }, chainPem: { not: null }, domain: { certificateMode: { not: 'off' } } },
      select: { source: true, notAfter: true, domain: { select: { hostname: true, projectId: true, certificateMode: true } } },
    }),
  ])
  const slugs = new Map(projects.map(({ id, slug }) => [id, slug]))
  const slugOf = (projectId: string) => slugs.get(projectId) ?? projectId
  const open = await hub
    .inFlight(
      instances.map(({ id }) => id),
      { deadlineMs: inFlightDeadlineMs },
    )
    .catch(() => null)
  const status = hub.status()
  const ejected = totals.ejectedIn(status.workers.map(({ workerId, pid }) => `${workerId} (pid ${pid})`))
  return metricsText({
    hosts: totals.hostsOf(new Set(slugs.keys())).map((host) => ({ ...host, project: slugOf(host.projectId) })),
    inFlight: open && instances.map(({ id, projectId }) => ({ project: slugOf(projectId), instanceId: id, open: open[id] ?? 0 })),
    ejected: instances.map(({ id, projectId }) => ({ project: slugOf(projectId), instanceId: id, routers: ejected.get(id) ?? 0 })),
    certificates: expiriesOf(certificates, Date.now()).map(({ projectId, ...one }) => ({ ...one, project: slugOf(projectId) })),
    routers: {
      connected: status.workers.filter(({ listening }) => listening).length,
      expected: status.expectedWorkers,
      tableVersion: status.version,
    },
    droppedLines: totals.droppedLines,
  })
}
