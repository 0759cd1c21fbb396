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

/** The control side of the routers' link, as `server/link` implements it. */
export interface TableSink {
  publish(table: RouteTable, options: { deadlineMs: number }): Promise<{ acknowledged: number }>
}

export interface RoutePublisher {
  /** Computes the table from the record and has every router serve it; does nothing when it would be the same. @throws ERR_CUTOVER */
  sync(): Promise<void>
  /** Whether the last publication failed: routers may serve something else than the record says. */
  isBehind(): boolean
  /**
   * Routes the environment as if `releaseId` were live, until `settle`: other publications meanwhile keep it so.
   * When not every router acknowledges, the routes go back to the record and this throws ERR_CUTOVER.
   * @throws ERR_TOO_LARGE, ERR_DETECT when the release's own rules would close it: nothing is published then.
   */
  propose(candidate: Candidate): Promise<void>
  /** The record says now what was proposed, or it was given up. */
  settle(environmentId: string): void
  /** Why a project's own host would be closed with these settings, for want of room beside everybody's rules; null: there is room. Publishes nothing. */
  closedBy(projectId: string, settings: StoredRules): Promise<string | null>
}

const ackDeadlineMs = 10_000

/** One publication at a time: versions grow in the order in which the record was read. */
export function createRoutePublisher(options: {
  prisma: PrismaClient
  sink: TableSink
  baseDomain: string
  dashboardUrl: string
  ports?: VisiblePorts
  /** The certificate of hosts below the base domain. */
  ownHosts?: OwnHosts
  contents?: Pick<StaticContents, 'locate'>
  /** Where rewrites may lead outside of the table. */
  outsideHosts?: readonly string[]
  /** Told what each table had to leave out; must not throw. */
  onProblems?: (problems: FoundProblems) => Promise<void>
  /** What the rules of everybody may weigh together; for tests. */
  totalWeight?: number
}): RoutePublisher {
  const { prisma, sink, baseDomain, dashboardUrl, ports, ownHosts, contents, outsideHosts = [], onProblems, totalWeight } = options
  const candidates = new Map<string, Candidate>()
  const policies = new RulesReader(prisma)
  let lastDigest = ''
  let behind = false
  let tail: Promise<unknown> = Promise.resolve()

  /** The parts of a table, each as routers take it; what they would refuse is left out and named. `changed`: settings not stored yet. */
  async function compute(changed?: { projectId: string; settings: StoredRules }) {
    const problems = new FoundProblems()
    const own = ports?.https ? ((await ownHosts?.read()) ?? null) : null
    const computed = withOwnHttps(await computeRoutes(prisma, baseDomain, [...candidates.values()], ports, contents, problems), own)
    const sound = routesThatFit(soundRoutes(computed, problems), problems)
    const parts = await policies.read([...new Set(sound.flatMap((route) => route.deploymentId ?? []))])
    if (changed) parts.settings.set(changed.projectId, changed.settings)
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
          // Not before its turn: a publication that was waiting would serve it without a look at its rules.
          candidates.set(environmentId, candidate)
          await publish(candidate).catch((error) => {
            candidates.delete(environmentId)
            throw error
          })
        })
      } catch (error) {
        // Routers that did take the new table must go back; one that cannot be reached keeps the old one anyway.
        await noted(serialized(() => publish())).catch(() => {})
        throw error
      }
    },
    settle(environmentId) {
      candidates.delete(environmentId)
    },
    closedBy: (projectId, settings) =>
      serialized(async () => {
        const { routes, problems } = await compute({ projectId, settings })
        const own = routes.find((route) => route.projectId === projectId)
        return own?.closed ? problems.noRoom(own.host) : null
      }),
  }
}

/** A release whose own rules would close it does not go live: what is live stays. */
async function refuseClosing(prisma: PrismaClient, { releaseId }: Candidate, problems: FoundProblems): Promise<void> {
  const release = releaseId === null ? null : await prisma.release.findUnique({ where: { id: releaseId }, select: { deploymentId: true } })
  const closing = release && problems.closing(release.deploymentId)
  if (!closing) return
  throw new AppError(closing.origin === 'budget' ? 'ERR_TOO_LARGE' : 'ERR_DETECT', closing.message, {
    step: 'cutover',
    nextAction: closing.nextAction,
  })
}
