import { createHash } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { RouteTable } from '@/shared/route-table'
import { entryOf, type OwnHosts, withOwnHttps } from '../certificates/own-hosts'
import { ownedCertificates } from '../certificates/supply'
import { RulesReader } from '../rules/parts'
import type { StoredRules } from '../rules/stored'
import { attachRules } from '../rules/table'
import type { StaticContents } from '../static-content/static-content'
import { type Candidate, computeRoutes } from './compute'
import type { VisiblePorts } from './domains'
import { FoundProblems } from './problems'
import { routesThatFit, soundCertificates, soundRoutes } from './sound-routes'

/** Sends route tables to the routers; implemented by `server/link`. */
export interface TableSink {
  publish(table: RouteTable, options: { deadlineMs: number }): Promise<{ acknowledged: number }>
}

export interface RoutePublisher {
  /** Computes the table from the database and publishes it to every router; does nothing when it is unchanged. @throws ERR_CUTOVER */
  sync(): Promise<void>
  /** Whether the last publication failed: routers may serve an outdated table. */
  isBehind(): boolean
  /**
   * Routes the environment as if `releaseId` were live, in all publications until `settle`.
   * @throws ERR_CUTOVER when not every router acknowledges; the routes of the recorded release are then published again
   * @throws ERR_TOO_LARGE, ERR_DETECT when the release's own rules would close the project; nothing is published then
   */
  propose(candidate: Candidate): Promise<void>
  /** Ends a proposal: the release was recorded as live, or the cutover failed. */
  settle(environmentId: string): void
  /** Why these settings would exceed the size limit of all rules and close the project; null: they fit. Publishes nothing. */
  closedBy(place: RulesPlace, settings: StoredRules): Promise<string | null>
}

/** Where rules are set: on a project, or on one of its environments. */
export interface RulesPlace {
  projectId: string
  environmentId: string | null
}

const ackDeadlineMs = 10_000

/** Publishes one table at a time, so that a higher version was read later from the database. */
export function createRoutePublisher(options: {
  prisma: PrismaClient
  sink: TableSink
  baseDomain: string
  dashboardUrl: string
  ports?: VisiblePorts
  /** The certificate of hosts below the base domain. */
  ownHosts?: OwnHosts
  contents?: Pick<StaticContents, 'locate'>
  /** Hosts outside of the table that rewrites may use. */
  outsideHosts?: readonly string[]
  /** Called with the problems of each table; must not throw. */
  onProblems?: (problems: FoundProblems) => Promise<void>
  /** Maximum weight of all rules together; for tests. */
  totalWeight?: number
}): RoutePublisher {
  const { prisma, sink, baseDomain, dashboardUrl, ports, ownHosts, contents, outsideHosts = [], onProblems, totalWeight } = options
  const candidates = new Map<string, Candidate>()
  const policies = new RulesReader(prisma)
  let lastDigest = ''
  let behind = false
  let tail: Promise<unknown> = Promise.resolve()

  /** Computes a table that routers accept; invalid parts are omitted and reported as problems. `changed`: settings not stored yet. */
  async function compute(changed?: { place: RulesPlace; settings: StoredRules }) {
    const problems = new FoundProblems()
    const own = ports?.https ? ((await ownHosts?.read()) ?? null) : null
    const computed = withOwnHttps(await computeRoutes(prisma, baseDomain, [...candidates.values()], ports, contents, problems), own)
    const sound = routesThatFit(soundRoutes(computed, problems), problems)
    const environmentIds = [...new Set(sound.map((route) => route.environmentId))]
    const parts = await policies.read([...new Set(sound.flatMap((route) => route.deploymentId ?? []))], environmentIds)
    if (changed?.place.environmentId) parts.ofEnvironments.set(changed.place.environmentId, changed.settings)
    else if (changed) parts.settings.set(changed.place.projectId, changed.settings)
    const withPolicies = attachRules({ routes: sound, parts, baseDomain, problems }, totalWeight)
    const owned = ports?.https ? soundCertificates(await ownedCertificates(prisma), problems) : []
    return { ...withPolicies, certificates: own ? [entryOf(own), ...owned] : owned, problems }
  }

  async function publish(candidate?: Candidate): Promise<void> {
    const { routes, policies, certificates, problems } = await compute()
    if (candidate) await refuseClosing(prisma, candidate, problems)
    await onProblems?.(problems)
    const digest = createHash('sha256')
      .update(JSON.stringify([routes, policies, certificates]))
      .digest('hex')
    if (digest === lastDigest) return
    // Clear the digest first: after a failure the routers' state is unknown, so the next publication must be sent.
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
  function serialized<T>(work: () => Promise<T>): Promise<T> {
    const run = tail.then(work)
    tail = run.catch(() => {})
    return run
  }
  const noted = async (work: Promise<void>): Promise<void> => {
    try {
      await work
      behind = false
    } catch (error) {
      behind = true
      throw error
    }
  }

  return {
    sync: () => noted(serialized(() => publish())),
    isBehind: () => behind,
    async propose(candidate) {
      const { environmentId } = candidate
      try {
        await serialized(async () => {
          // Set the candidate inside the queue: an earlier queued publication would serve it without checking its rules.
          candidates.set(environmentId, candidate)
          await publish(candidate).catch((error) => {
            candidates.delete(environmentId)
            throw error
          })
        })
      } catch (error) {
        // Revert the routers that accepted the table; an unreachable router still has the old one.
        await noted(serialized(() => publish())).catch(() => {})
        throw error
      }
    },
    settle(environmentId) {
      candidates.delete(environmentId)
    },
    closedBy: (place, settings) =>
      serialized(async () => {
        const { routes, problems } = await compute({ place, settings })
        const closed = routes.filter((route) => route.projectId === place.projectId && route.closed)
        // The hosts of older deployments may be closed: those of environments come before them.
        const own = place.environmentId === null ? routes.find((route) => route.projectId === place.projectId) : closed[0]
        return own?.closed ? problems.noRoom(own.host) : null
      }),
  }
}

/** Refuses the cutover to a release whose own rules would close the project: the live release stays. */
async function refuseClosing(prisma: PrismaClient, { releaseId }: Candidate, problems: FoundProblems): Promise<void> {
  const release = releaseId === null ? null : await prisma.release.findUnique({ where: { id: releaseId }, select: { deploymentId: true } })
  const closing = release && problems.closing(release.deploymentId)
  if (!closing) return
  throw new AppError(closing.origin === 'budget' ? 'ERR_TOO_LARGE' : 'ERR_DETECT', closing.message, {
    step: 'cutover',
    nextAction: closing.nextAction,
  })
}
