import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import type { Environment, PrismaClient, ShareLink } from '@/server/database/generated/client'
import { type ShareLinkView, type shareLinkInput, templateName } from '@/shared/environments'
import { AppError } from '@/shared/errors'
import { environmentHost, hostUrl } from '@/shared/naming'
import { digestToken } from '@/shared/node/access-secrets'
import { newId } from '@/shared/node/ids'
import { accessParameter } from '@/shared/project-rules'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'
import { authorize } from '../teams/policy'
import { protectionOf } from './protection'
import { requireEnvironmentById } from './read'

export interface ShareLinkDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  bus: Pick<ChangeBus, 'publish'>
  edge: Edge
  /** Publishes the routes, which hold the digests of the links. */
  routesChanged: () => Promise<void>
}

/** Links by which a protected environment can be visited without an account. */
export interface ShareLinks {
  /** Those that have not expired, newest first. */
  list(actor: Actor, environmentId: string): Promise<ShareLinkView[]>
  /** @throws ERR_CONFLICT when the environment is not protected, or has too many links */
  create(actor: Actor, environmentId: string, input: z.output<typeof shareLinkInput>): Promise<ShareLinkView>
  /** It opens nothing from now on, nor do the cookies it has set. */
  revoke(actor: Actor, environmentId: string, linkId: string): Promise<void>
  /** URL for the calling member to visit the environment. For a protected environment it contains a share link that is valid for 12 hours at most. */
  open(actor: Actor, environmentId: string): Promise<{ url: string; expiresAt: string | null }>
}

/** Links of an environment that have not expired: each is part of every route table. */
const maxLinks = 100
const hourMs = 3_600_000
const openedMs = 12 * hourMs
/** An address with less time left than this is not given to a member who opens the environment. */
const leastLeftMs = 6 * hourMs

/** Use-cases of share links. */
export function createShareLinks(deps: ShareLinkDeps): ShareLinks {
  return {
    async list(actor, environmentId) {
      // The addresses open the environment: they are shown to those who may make them.
      const { db, environment } = await requireShareable(deps, actor, environmentId)
      const rows = await db.shareLink.findMany({ where: valid(environment), orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] })
      return Promise.all(rows.map((row) => present(deps, environment, row)))
    },
    async create(actor, environmentId, { name, days }) {
      const { db, environment, asked } = await requireShareable(deps, actor, environmentId)
      if (!asked)
        throw new AppError('ERR_CONFLICT', `The environment ${environment.name} is not protected: everybody may visit it.`, {
          nextAction: 'Share its address, or protect it first.',
        })
      const row = await add(deps, db, environment, { purpose: 'shared', name: name ?? null, createdBy: actor.name, ms: days * 24 * hourMs })
      await writeAudit(db, actor, {
        action: 'share-link.created',
        subject: environment.projectId,
        detail: { environment: environment.name, name: name ?? null, days },
      })
      return present(deps, environment, row)
    },
    async revoke(actor, environmentId, linkId) {
      const { db, environment } = await requireShareable(deps, actor, environmentId)
      const { count } = await db.shareLink.deleteMany({ where: { id: linkId, environmentId } })
      if (count === 0)
        throw new AppError('ERR_NOT_FOUND', 'The environment has no such link.', { nextAction: 'List its links: it may have expired.' })
      await writeAudit(db, actor, {
        action: 'share-link.revoked',
        subject: environment.projectId,
        detail: { environment: environment.name, link: linkId },
      })
      await announce(deps, environment)
    },
    async open(actor, environmentId) {
      const { db, environment, asked } = await requireShareable(deps, actor, environmentId)
      const bare = addressOf(deps, environment)
      if (!asked) return { url: bare, expiresAt: null }
      const known = await db.shareLink.findFirst({
        where: { environmentId, purpose: 'opened', createdBy: actor.name, expiresAt: { gt: new Date(Date.now() + leastLeftMs) } },
      })
      const row = known ?? (await add(deps, db, environment, { purpose: 'opened', name: null, createdBy: actor.name, ms: openedMs }))
      const { url, expiresAt } = await present(deps, environment, row)
      return { url, expiresAt }
    },
  }
}

/** `asked`: visitors have to show something. */
async function requireShareable(
  deps: ShareLinkDeps,
  actor: Actor,
  environmentId: string,
): Promise<{ db: ScopedClient; environment: Environment; asked: boolean }> {
  authorize(actor, 'share-link.write')
  const db = scopeTo(deps.prisma, actor)
  const environment = await requireEnvironmentById(db, environmentId)
  const parent = environment.parentId === null ? null : await db.environment.findFirst({ where: { id: environment.parentId } })
  if (environment.kind === 'PREVIEW' && environment.name === templateName)
    throw new AppError('ERR_CONFLICT', 'The environment of all previews has no address.', { nextAction: 'Share a preview.' })
  const byLink = protectionOf({ ...environment, parent }) === 'link'
  const project = await db.project.findFirst({ where: { id: environment.projectId }, select: { edgePolicy: true } })
  const byRules = [project?.edgePolicy, parent?.rules, environment.rules].some(asksVisitors)
  // Admins have set the password or tokens of the rules: only they may open another way in.
  if (byRules && !byLink) authorize(actor, 'project.update')
  return { db, environment, asked: byLink || byRules }
}

const asksVisitors = (rules: unknown): boolean => typeof rules === 'object' && rules !== null && 'protection' in rules && rules.protection !== null

const valid = ({ id }: { id: string }) => ({ environmentId: id, expiresAt: { gt: new Date() } })

interface NewLink {
  purpose: ShareLinkView['purpose']
  name: string | null
  createdBy: string
  ms: number
}

async function add(deps: ShareLinkDeps, db: ScopedClient, environment: Environment, { ms, ...link }: NewLink): Promise<ShareLink> {
  if ((await db.shareLink.count({ where: valid(environment) })) >= maxLinks)
    throw new AppError('ERR_CONFLICT', `An environment has at most ${maxLinks} share links.`, { nextAction: 'Revoke links that are not needed.' })
  const token = randomBytes(24).toString('base64url')
  const { id: environmentId, teamId } = environment
  const ciphertext = await deps.secrets.seal(teamId, token)
  const data = { id: newId(), teamId, environmentId, ...link, digest: digestToken(token), ciphertext, expiresAt: new Date(Date.now() + ms) }
  const row = await db.shareLink.create({ data })
  await announce(deps, environment)
  return row
}

async function announce({ bus, routesChanged }: ShareLinkDeps, { teamId, projectId }: Environment): Promise<void> {
  await bus.publish({ kind: 'project', id: projectId, teamId, projectId })
  await routesChanged()
}

const addressOf = ({ edge }: ShareLinkDeps, { slug }: Environment): string => hostUrl(environmentHost(slug, edge.baseDomain), edge)

async function present(deps: ShareLinkDeps, environment: Environment, row: ShareLink): Promise<ShareLinkView> {
  const token = await deps.secrets.open(row.teamId, row.ciphertext)
  return {
    id: row.id,
    purpose: row.purpose as ShareLinkView['purpose'],
    name: row.name,
    url: `${addressOf(deps, environment)}/?${accessParameter}=${token}`,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
  }
}
