import { randomBytes } from 'node:crypto'
import { type GitHookView, type GitProvider, gitProviders } from '@/shared/git-events'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { isUniqueViolation, type PrismaClient } from '../database/client'
import type { GitHook } from '../database/generated/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireProject } from '../projects/read'
import type { Secrets } from '../secrets/secrets'

export interface HookDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  /** Address of the dashboard, without a trailing slash. */
  dashboardUrl: string
}

/** Of the form that the Standard Webhooks specification asks for; hosts that want any text take it, too. */
const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

/** Address and secret of the project's webhook; made when they are first asked for. @throws ERR_NOT_FOUND */
export async function showHook(deps: HookDeps, actor: Actor, idOrSlug: string): Promise<GitHookView> {
  const db = scopeTo(deps.prisma, actor)
  const project = await requireProject(db, idOrSlug)
  return present(deps, db, await ensureHook(deps, db, { id: project.id, teamId: actor.teamId }))
}

async function ensureHook(deps: HookDeps, db: ScopedClient, project: { id: string; teamId: string }): Promise<GitHook> {
  const find = () => db.gitHook.findFirst({ where: { projectId: project.id } })
  const known = await find()
  if (known) return known
  const { teamId } = project
  const data = { id: randomBytes(16).toString('hex'), teamId, projectId: project.id, secret: await deps.secrets.seal(teamId, newSecret()) }
  try {
    return await db.gitHook.create({ data })
  } catch (error) {
    // Asked for twice at once.
    const other = isUniqueViolation(error) ? await find() : null
    if (!other) throw error
    return other
  }
}

/** A new secret. The old one is accepted for some minutes more, so that no delivery is refused until the Git host has the new one. */
export async function rotateSecret(deps: HookDeps, actor: Actor, input: { project: string; keepPreviousMinutes: number }): Promise<GitHookView> {
  const db = scopeTo(deps.prisma, actor)
  const { id: projectId, name } = await requireProject(db, input.project)
  const hook = await ensureHook(deps, db, { id: projectId, teamId: actor.teamId })
  const secret = await deps.secrets.seal(actor.teamId, newSecret())
  const previous =
    input.keepPreviousMinutes > 0
      ? { previousSecret: hook.secret, previousUntil: new Date(Date.now() + input.keepPreviousMinutes * 60_000) }
      : { previousSecret: null, previousUntil: null }
  const rotated = await db.$transaction(async (tx) => {
    await writeAudit(tx, actor, { action: 'git-hook.rotated', subject: projectId, detail: { name, keepPreviousMinutes: input.keepPreviousMinutes } })
    return tx.gitHook.update({ where: { id: hook.id }, data: { secret, ...previous } })
  })
  return present(deps, db, rotated)
}

async function present({ secrets, dashboardUrl }: HookDeps, db: ScopedClient, hook: GitHook): Promise<GitHookView> {
  const last = await db.gitDelivery.findFirst({
    where: { hookId: hook.id, replayOf: null },
    orderBy: { receivedAt: 'desc' },
    select: { receivedAt: true },
  })
  const isKept = hook.previousUntil !== null && hook.previousUntil > new Date()
  const paths = Object.fromEntries(gitProviders.map((provider) => [provider, `/api/v1/webhooks/${provider}/${hook.id}`])) as Record<
    GitProvider,
    string
  >
  const urls = Object.fromEntries(gitProviders.map((provider) => [provider, dashboardUrl + paths[provider]])) as Record<GitProvider, string>
  return {
    projectId: hook.projectId,
    paths,
    urls,
    secret: await secrets.open(hook.teamId, hook.secret),
    previousSecretUntil: isKept ? (hook.previousUntil?.toISOString() ?? null) : null,
    lastDeliveryAt: last?.receivedAt.toISOString() ?? null,
  }
}
