import type { PrismaClient } from '@/server/database/generated/client'
import { type RoutingProblem, routingProblemList } from '@/shared/routing-problems'
import type { ChangeBus } from '../events/bus'
import type { FoundProblems } from './problems'

interface RecordDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  logger: { warn(fields: object, message: string): void }
}

/** Maximum projects updated per table; the next table updates the rest. */
const maxWrites = 500

interface RecordedProblems {
  id: string
  teamId: string
  edgeProblems: unknown
}

/** Problems stored in a column; empty when unreadable, because the next table rewrites the column. */
export function readProblems(json: unknown): RoutingProblem[] {
  return routingProblemList.safeParse(json ?? []).data ?? []
}

/**
 * Stores with each project the problems found in its part of the newest table, and records an event per change. Never throws: a failure
 * here must not block the table.
 */
export function recordProblems(deps: RecordDeps): (problems: FoundProblems) => Promise<void> {
  return async (problems) => {
    try {
      const found = problems.byProject()
      const recorded = await deps.prisma.$queryRaw<
        RecordedProblems[]
      >`SELECT "id", "teamId", "edgeProblems" FROM "Project" WHERE "edgeProblems" IS NOT NULL`
      const before = new Map(recorded.map((row) => [row.id, row]))
      const resolved = recorded.filter(({ id }) => !found.has(id)).map(({ id, teamId }) => ({ id, teamId, problems: [] as RoutingProblem[] }))
      const current = [...found].map(([id, one]) => ({ id, ...one }))
      const changed = [...current, ...resolved].filter(({ id, problems: now }) => !isSame(readProblems(before.get(id)?.edgeProblems), now))
      for (const one of changed.slice(0, maxWrites)) await write(deps, one)
    } catch (error) {
      deps.logger.warn({ err: error }, 'the problems of the route table were not recorded; the next table retries')
    }
  }
}

async function write(
  { prisma, bus, logger }: RecordDeps,
  { id, teamId, problems }: { id: string; teamId: string; problems: RoutingProblem[] },
): Promise<void> {
  const json = problems.length > 0 ? JSON.stringify(problems) : null
  const written = await prisma.$transaction(async (tx) => {
    // Raw SQL keeps `updatedAt`, which detects concurrent changes by users.
    const count = await tx.$executeRaw`UPDATE "Project" SET "edgeProblems" = ${json}::jsonb WHERE "id" = ${id}`
    if (count > 0) await tx.event.create({ data: { teamId, projectId: id, kind: 'project.edge-problems', payload: { problems } } })
    return count > 0
  })
  if (!written) return
  if (problems.length > 0) logger.warn({ project: id, problems }, 'a part of this project is not served')
  await bus.publish({ kind: 'project', id, teamId, projectId: id })
}

const isSame = (a: readonly RoutingProblem[], b: readonly RoutingProblem[]): boolean => text(a) === text(b)
// Postgres JSONB changes the order of keys.
const text = (problems: readonly RoutingProblem[]): string =>
  JSON.stringify(problems.map(({ effect, message, nextAction, hosts }) => [effect, message, nextAction, hosts]))
