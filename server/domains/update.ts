import { setTimeout } from 'node:timers/promises'
import type { z } from 'zod'
import type { DomainView, domainPatch } from '@/shared/domains'
import { AppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { keepCertificates } from '../certificates/kept'
import { type ScopedClient, type ScopedTransaction, scopeTo } from '../database/scope'
import { writeEvent } from '../outbox/write-event'
import { authorize } from '../teams/policy'
import { requireEnvironment } from './add'
import type { DomainDeps } from './deps'
import { searchedName } from './hostname'
import { presentOne, requireDomain } from './read'
import { holdRedirects, requireRedirectTarget } from './redirects'

/** Shortest interval between examinations, which visit addresses chosen by others: repeated clicks must not flood these servers. */
const shortestIntervalMs = 2_000

type Patch = z.output<typeof domainPatch>

/** Changes the fields in the patch. Routes are updated at once; the doctor examines the domain again if its checks are affected. */
export async function updateDomain(deps: DomainDeps, actor: Actor, idOrHostname: string, patch: Patch): Promise<DomainView> {
  authorize(actor, 'domain.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDomain(db, idOrHostname)
  const { httpsRedirect, hstsSeconds, certificateMode } = patch
  const data = {
    ...(patch.environment === undefined ? {} : { environmentId: (await requireEnvironment(db, row.projectId, patch.environment)).id }),
    ...(patch.branch === undefined ? {} : { branch: patch.branch || null }),
    ...(httpsRedirect === undefined ? {} : { httpsRedirect }),
    ...(hstsSeconds === undefined ? {} : { hstsSeconds }),
    ...(certificateMode === undefined ? {} : { certificateMode }),
    ...(patch.dnsProviderId === undefined ? {} : { dnsProviderId: patch.dnsProviderId && (await requireProvider(db, patch.dnsProviderId)) }),
  }
  await db.$transaction(async (tx) => {
    const all = patch.redirectTo === undefined ? data : { ...data, redirectTo: await redirectOf(tx, row, patch.redirectTo) }
    await tx.domain.updateMany({ where: { id: row.id }, data: { ...all, nextCheckAt: new Date() } })
    await writeAudit(tx, actor, { action: 'domain.updated', subject: row.id, detail: { hostname: row.hostname, changed: Object.keys(all) } })
  })
  await deps.routesChanged()
  await deps.bus.publish({ kind: 'domain', id: row.id, teamId: actor.teamId, projectId: row.projectId })
  return presentOne(deps, db, await requireDomain(db, row.id))
}

async function redirectOf(tx: ScopedTransaction, row: { projectId: string; hostname: string }, wanted: string | null): Promise<string | null> {
  await holdRedirects(tx, row.projectId)
  return wanted ? requireRedirectTarget(tx, row, wanted) : null
}

async function requireProvider(db: ScopedClient, id: string): Promise<string> {
  const row = await db.dnsProvider.findFirst({ where: { id }, select: { id: true } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such DNS provider in this team.')
  return row.id
}

/**
 * Removes a domain: when this resolves, it is no longer routed. Domains that redirected to it serve their project directly. A valid
 * certificate is kept encrypted, in case the team adds the name again.
 * @throws ERR_INVALID_INPUT when `confirmHostname` differs from the hostname
 */
export async function removeDomain(deps: DomainDeps, actor: Actor, idOrHostname: string, confirmHostname: string): Promise<void> {
  authorize(actor, 'domain.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDomain(db, idOrHostname)
  if (searchedName(confirmHostname) !== row.hostname)
    throw new AppError('ERR_INVALID_INPUT', `Type ${row.hostname} to confirm that it is to be removed.`)
  await db.$transaction(async (tx) => {
    await tx.domain.updateMany({ where: { projectId: row.projectId, redirectTo: row.hostname }, data: { redirectTo: null } })
    await keepCertificates(tx, actor.teamId, row.id)
    await tx.domain.deleteMany({ where: { id: row.id } })
    await writeAudit(tx, actor, { action: 'domain.removed', subject: row.id, detail: { hostname: row.hostname } })
    const payload = { domainId: row.id, hostname: row.hostname, reason: 'removed' } as const
    await writeEvent(tx, { teamId: actor.teamId, projectId: row.projectId, kind: 'domain.removed', payload })
  })
  await deps.routesChanged()
  await deps.bus.publish({ kind: 'domain', id: row.id, teamId: actor.teamId, projectId: row.projectId })
}

/** Examines the domain now if this process runs examinations; otherwise schedules the examination next. */
export async function checkDomain(deps: DomainDeps, actor: Actor, idOrHostname: string): Promise<DomainView> {
  authorize(actor, 'domain.check')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDomain(db, idOrHostname)
  if (deps.checks) {
    const rest = (row.checkedAt?.getTime() ?? 0) + shortestIntervalMs - Date.now()
    if (rest > 0) await setTimeout(rest)
    await deps.checks.check(row.id)
  }
  if (!deps.checks) {
    await db.domain.updateMany({ where: { id: row.id }, data: { nextCheckAt: new Date() } })
    await deps.bus.publish({ kind: 'domain', id: row.id, teamId: actor.teamId, projectId: row.projectId })
  }
  return presentOne(deps, db, await requireDomain(db, row.id))
}
