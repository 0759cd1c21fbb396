import { createHash } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import type { RouteTable } from '@/shared/route-table'
import { certificateEntries } from '../certificates/supply'
import { attachPolicies } from '../edge-policy/table'
import type { StaticContents } from '../static-content/static-content'
import { type Candidate, computeRoutes } from './compute'
import type { VisiblePorts } from './domains'

/** The control side of the routers' link, as `server/edge` implements it. */
export interface TableSink {
  publish(table: RouteTable, options: { deadlineMs: number }): Promise<{ acknowledged: number }>
}

export interface RoutePublisher {
  /** Computes the table from the record and has every router serve it; does nothing when it would be the same. @throws ERR_CUTOVER */
  sync(): Promise<void>
  /**
   * Routes the environment as if `releaseId` were live, until `settle`: other publications meanwhile keep it so.
   * When not every router acknowledges, the routes go back to the record and this throws ERR_CUTOVER.
   */
  propose(candidate: Candidate): Promise<void>
  /** The record says now what was proposed, or it was given up. */
  settle(environmentId: string): void
}

const ackDeadlineMs = 10_000

/** One publication at a time: versions grow in the order in which the record was read. */
export function createRoutePublisher(options: {
  prisma: PrismaClient
  sink: TableSink
  baseDomain: string
  dashboardUrl: string
  ports?: VisiblePorts
  contents?: Pick<StaticContents, 'locate'>
  /** Where rewrites may lead outside of the table. */
  outsideHosts?: readonly string[]
}): RoutePublisher {
  const { prisma, sink, baseDomain, dashboardUrl, ports, contents, outsideHosts = [] } = options
  const candidates = new Map<string, Candidate>()
  let lastDigest = ''
  let tail: Promise<unknown> = Promise.resolve()

  async function publish(): Promise<void> {
    const computed = await computeRoutes(prisma, baseDomain, [...candidates.values()], ports, contents)
    const { routes, policies } = await attachPolicies(prisma, computed, baseDomain)
    const certificates = ports?.https ? await certificateEntries(prisma) : []
    const digest = createHash('sha256')
      .update(JSON.stringify([routes, policies, certificates]))
      .digest('hex')
    if (digest === lastDigest) return
    // Cleared first: after a failed publication nobody knows what the routers serve, so the next one must go out.
    lastDigest = ''
    const [row] = await prisma.$queryRaw<{ version: bigint }[]>`
      INSERT INTO "RouteTableVersion"("id","version") VALUES (1,1)
      ON CONFLICT ("id") DO UPDATE SET "version" = "RouteTableVersion"."version" + 1 RETURNING "version"`
    const table: RouteTable = {
      version: Number(row?.version ?? 1),
      generatedAt: new Date().toISOString(),
      dashboardUrl,
      routes,
      ...(Object.keys(policies).length > 0 ? { policies } : {}),
      ...(outsideHosts.length > 0 ? { outsideHosts: [...outsideHosts] } : {}),
      ...(ports?.https ? { httpsPort: ports.https, certificates } : {}),
    }
    await sink.publish(table, { deadlineMs: ackDeadlineMs })
    lastDigest = digest
  }
  function serialized(work: () => Promise<void>): Promise<void> {
    const run = tail.then(work)
    tail = run.catch(() => {})
    return run
  }

  return {
    sync: () => serialized(publish),
    async propose(candidate) {
      candidates.set(candidate.environmentId, candidate)
      try {
        await serialized(publish)
      } catch (error) {
        candidates.delete(candidate.environmentId)
        // Routers that did take the new table must go back; one that cannot be reached keeps the old one anyway.
        await serialized(publish).catch(() => {})
        throw error
      }
    },
    settle(environmentId) {
      candidates.delete(environmentId)
    },
  }
}
