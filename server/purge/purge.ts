import { AppError } from '@/shared/errors'
import type { PurgeInput, PurgeView } from '@/shared/purge'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import type { PrismaClient } from '../database/client'
import { scopeTo } from '../database/scope'
import type { LinkMessages } from '../link/link-messages'
import { authorize } from '../teams/policy'

export interface PurgeDeps {
  prisma: PrismaClient
  /** null: another process runs the routers. */
  talk: Pick<LinkMessages, 'command'> | null
  /** Number of router workers that must be connected. */
  expected?: number
}

const deadlineMs = 10_000

export interface CacheControl {
  /** Removes cached responses of a project from every router. */
  purge(actor: Actor, project: string, input: PurgeInput): Promise<PurgeView>
}

/** Cache operations of the API. */
export function createCacheControl(deps: PurgeDeps): CacheControl {
  return { purge: (actor, project, input) => purgeCache(deps, actor, project, input) }
}

/**
 * Purges a project's cached responses from every connected router, by tag, by path, or all. Once this returns no router sends a purged
 * response, and responses that were being fetched meanwhile are not cached. @throws ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_DEADLINE
 */
async function purgeCache(deps: PurgeDeps, actor: Actor, idOrSlug: string, input: PurgeInput): Promise<PurgeView> {
  authorize(actor, 'cache.purge')
  const db = scopeTo(deps.prisma, actor)
  const project = await db.project.findFirst({ where: { OR: [{ id: idOrSlug }, { slug: idOrSlug }] }, select: { id: true } })
  if (!project) throw new AppError('ERR_NOT_FOUND', 'There is no such project in this team.', { nextAction: 'List your projects to see their ids.' })
  if (!deps.talk)
    throw new AppError('ERR_UNAVAILABLE', 'The routers are not connected to this process.', {
      nextAction: 'Ask the process with the role "worker".',
    })
  const tags = [...new Set(input.tags)]
  const paths = [...new Set(input.paths.map(pathAsSent))]
  const answers = await deps.talk.command('purge', { projectId: project.id, tags, paths }, { deadlineMs })
  checkAllAnswered(answers.length, deps.expected ?? 0)
  await writeAudit(db, actor, { action: 'cache.purged', subject: project.id, detail: { tags, paths } })
  return { entries: answers.reduce((sum, { entries }) => sum + entries, 0), routers: answers.length }
}

/** A disconnected router would keep serving its cached responses. @throws ERR_UNAVAILABLE */
export function checkAllAnswered(answered: number, expected: number): void {
  if (answered >= expected) return
  throw new AppError('ERR_UNAVAILABLE', `${answered} of ${expected} routers are connected: the others may go on sending what they keep.`, {
    nextAction: 'Purge again in a few seconds. If it stays so, look at the routers on the status page and in the log.',
  })
}

/** The path as routers store it: percent-encoded, without the query. */
function pathAsSent(path: string): string {
  const [plain = ''] = path.split(/[?#]/)
  return encodeURI(plain.toWellFormed()).replace(/%25(?=[0-9a-fA-F]{2})/g, '%')
}
