import type { PrismaClient } from '@/server/database/generated/client'
import { type RoutingProblem, routingProblemList } from '@/shared/routing-problems'
import type { ChangeBus } from '../events/bus'
import type { FoundProblems } from './problems'

interface RecordDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  logger: { warn(fields: object, message: string): void }
}

/** Projects written to after one table; those beyond it come with the next. */
const maxWrites = 500

interface Told {
  id: string
  teamId: string
  edgeProblems: unknown
}

/** A column's JSON; what cannot be read any more is written anew with the next table. */
export function readProblems(json: unknown): RoutingProblem[] {
  return routingProblemList.safeParse(json ?? []).data ?? []
}

/**
 * Keeps with each project what its part of the newest table lacks, for its people to see, and an event for each change. Never throws: a
 * table does not wait for its notes.
 */
export function recordProblems(deps: RecordDeps): (problems: FoundProblems) => Promise<void> {
  return async (problems) => {
    try {
      const found = problems.byProject()
      const told = await deps.prisma.$queryRaw<Told[]>`SELECT "id", "teamId", "edgeProblems" FROM "Project" WHERE "edgeProblems" IS NOT NULL`
      const before = new Map(told.map((row) => [row.id, row]))
      const cured = told.filter(({ id }) => !found.has(id)).map(({ id, teamId }) => ({ id, teamId, problems: [] as RoutingProblem[] }))
      const current = [...found].map(([id, one]) => ({ id, ...one }))
      const changed = [...current, ...cured].filter(({ id, problems: now }) => !isSame(readProblems(before.get(id)?.edgeProblems), now))
      for (const one of changed.slice(0, maxWrites)) await write(deps, one)
    } catch (error) {
      deps.logger.warn({ err: error }, 'what the route table lacks is not recorded; it is tried again with the next one')
    }
  }
}

async function write(
  { prisma, bus, logger }: RecordDeps,
  { id, teamId, problems }: { id: string; teamId: string; problems: RoutingProblem[] },
): Promise<void> {
  const json = problems.length > 0 ? JSON.stringify(problems) : null
  const written = await prisma.$transaction(async (tx) => {
    // Not through the client: the time of the last change is the person's, and guards what they change.
    const count = await tx.$executeRaw`UPDATE "Project" SET "edgeProblems" = ${json}::jsonb WHERE "id" = ${id}`
    if (count > 0) await tx.event.create({ data: { teamId, projectId: id, kind: 'project.edge-problems', payload: { problems } } })
    return count > 0
  })
  if (!written) return
  if (problems.length > 0) logger.warn({ project: id, problems }, 'a part of this project is not served')
  await bus.publish({ kind: 'project', id, teamId, projectId: id })
}

const isSame = (a: readonly RoutingProblem[], b: readonly RoutingProblem[]): boolean => text(a) === text(b)
// The database gives fields back in an order of its own.
const text = (problems: readonly RoutingProblem[]): string =>
  JSON.stringify(problems.map(({ effect, message, nextAction, hosts }) => [effect, message, nextAction, hosts]))
