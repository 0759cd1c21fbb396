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
  /** null: the routers are another process's. */
  talk: Pick<LinkMessages, 'command'> | null
  /** Router workers that are to be connected. */
  expected?: number
}

const deadlineMs = 10_000

export interface CacheControl {
  /** Has every router forget what it keeps of the project's answers. */
  purge(actor: Actor, project: string, input: PurgeInput): Promise<PurgeView>
}

/** What the API offers on what routers keep. */
export function createCacheControl(deps: PurgeDeps): CacheControl {
  return { purge: (actor, project, input) => purgeCache(deps, actor, project, input) }
}

/**
 * Every connected router forgets what it keeps of the project: by tag, by path, or all. When this returns none of it is sent any more,
 * and what was being fetched meanwhile is not kept either. @throws ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_DEADLINE
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

/** One that has lost its connection serves on, and what it keeps with it. @throws ERR_UNAVAILABLE */
export function checkAllAnswered(answered: number, expected: number): void {
  if (answered >= expected) return
  throw new AppError('ERR_UNAVAILABLE', `${answered} of ${expected} routers are connected: the others may go on sending what they keep.`, {
    nextAction: 'Purge again in a few seconds. If it stays so, look at the routers on the status page and in the log.',
  })
}

/** Routers know addresses as they were asked for: percent-encoded, here without their query. */
function pathAsSent(path: string): string {
  const [plain = ''] = path.split(/[?#]/)
  return encodeURI(plain.toWellFormed()).replace(/%25(?=[0-9a-fA-F]{2})/g, '%')
}
