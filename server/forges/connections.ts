import { type ForgeConnection, Prisma, type PrismaClient, type Project } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { type ForgeInput, type ForgeProvider, type ForgeView, forgeLabels, forgeProblem } from '@/shared/forges'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, scopeTo } from '../database/scope'
import { OutboundError, pinHost } from '../outbound/pinned-request'
import { requireProject } from '../projects/read'
import type { Secrets } from '../secrets/secrets'
import { authorize } from '../teams/policy'

export interface ForgeDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal'>
}

export interface ForgeConnections {
  /** null: the project is not connected. */
  get(actor: Actor, project: string): Promise<ForgeView | null>
  /** Connects the project, or replaces its connection and sends what was refused before. */
  set(actor: Actor, project: string, input: ForgeInput): Promise<ForgeView>
  remove(actor: Actor, project: string): Promise<void>
}

const defaultApis: Readonly<Record<ForgeProvider, string | null>> = {
  github: 'https://api.github.com',
  gitlab: 'https://gitlab.com/api/v4',
  bitbucket: 'https://api.bitbucket.org/2.0',
  gitea: null,
}
/** A person waits for the answer. */
const lookupDeadlineMs = 5_000
/** Reports that failed within this time are sent again with a new token. */
const repeatMs = 7 * 24 * 3_600_000

/** Use-cases about connections of projects to the APIs of their Git hosts. Tokens are stored encrypted and never returned. */
export function createForgeConnections(deps: ForgeDeps): ForgeConnections {
  const { prisma } = deps
  return {
    async get(actor, project) {
      authorize(actor, 'forge.read')
      const db = scopeTo(prisma, actor)
      return present(await find(db, (await requireProject(db, project)).id))
    },
    set: (actor, project, input) => setConnection(deps, actor, project, input),
    async remove(actor, project) {
      authorize(actor, 'forge.write')
      const db = scopeTo(prisma, actor)
      const { id: projectId } = await requireProject(db, project)
      await db.$transaction(async (tx) => {
        const { count } = await tx.forgeConnection.deleteMany({ where: { projectId } })
        if (count > 0) await writeAudit(tx, actor, { action: 'forge.disconnected', subject: projectId })
      })
    },
  }
}

const find = (db: ScopedClient, projectId: string) => db.forgeConnection.findFirst({ where: { projectId } })

function present(row: ForgeConnection | null): ForgeView | null {
  if (!row) return null
  const { provider, apiUrl, repository } = row
  return {
    provider: provider as ForgeProvider,
    apiUrl,
    repository,
    problem: forgeProblem.nullable().catch(null).parse(row.problem),
    pausedUntil: row.pausedUntil?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

async function setConnection(deps: ForgeDeps, actor: Actor, project: string, input: ForgeInput): Promise<ForgeView> {
  authorize(actor, 'forge.write')
  const db = scopeTo(deps.prisma, actor)
  const found = await requireProject(db, project)
  const { id: projectId } = found
  const { provider } = input
  const apiUrl = await checkApi(input, actor)
  const repository = input.repository ?? repositoryOf(found)
  const token = await deps.secrets.seal(actor.teamId, input.token)
  const data = { provider, apiUrl, repository, token, allowPrivateNetwork: actor.operator, pausedUntil: null }
  await db.$transaction(async (tx) => {
    const { teamId } = actor
    await tx.forgeConnection.upsert({
      where: { projectId },
      create: { projectId, teamId, ...data },
      update: { ...data, problem: Prisma.DbNull },
    })
    const since = new Date(Date.now() - repeatMs)
    await tx.forgeReport.updateMany({ where: { projectId, isFailed: true, createdAt: { gt: since } }, data: { dueAt: new Date(), attempts: 0 } })
    await writeAudit(tx, actor, { action: 'forge.connected', subject: projectId, detail: { provider, apiUrl, repository } })
  })
  const view = present(await find(db, projectId))
  if (!view) throw new AppError('ERR_NOT_FOUND', 'The project was removed meanwhile.')
  return view
}

/** @throws ERR_INVALID_INPUT for an address that must not be connected to */
async function checkApi({ provider, apiUrl }: ForgeInput, actor: Actor): Promise<string> {
  const text = apiUrl ?? defaultApis[provider]
  if (text === null)
    throw new AppError('ERR_INVALID_INPUT', `apiUrl is needed for ${forgeLabels[provider]}.`, {
      nextAction: 'Send apiUrl, such as https://git.example.com/api/v1.',
    })
  const url = new URL(text)
  const refuse = (why: string) =>
    new AppError('ERR_INVALID_INPUT', `This address of an API is not usable: ${why}.`, { nextAction: 'Use a public https address.' })
  if (url.username || url.password || url.search || url.hash) throw refuse('it holds a user name, password, query or fragment')
  if (url.protocol === 'http:' && !actor.operator) throw refuse('it is not encrypted')
  await pinHost(url.hostname, actor.operator, lookupDeadlineMs).catch((error: unknown) => {
    if (error instanceof OutboundError && error.isForbidden) throw refuse(error.message)
  })
  return text.replace(/\/+$/, '')
}

/** `owner/name` of the project's repository address. @throws ERR_INVALID_INPUT */
function repositoryOf({ repository }: Project): string {
  const path = /^(?:[a-z+]+:\/\/[^/]+\/|[^/:]+:)(.+?)(?:\.git)?\/*$/i.exec(repository ?? '')?.[1]
  if (!path?.includes('/'))
    throw new AppError('ERR_INVALID_INPUT', 'The name of the repository does not follow from the project.', {
      nextAction: 'Send repository as owner/name.',
    })
  return path
}
