import type { z } from 'zod'
import type { DomainPreview, DomainView, domainInput } from '@/shared/domains'
import { AppError } from '@/shared/errors'
import { projectHost } from '@/shared/naming'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { writeEvent } from '../outbox/write-event'
import { requireProject } from '../projects/read'
import { authorize } from '../teams/policy'
import { claimName, claimRecord, claimToken, rivalClaim } from './claims'
import type { DomainDeps } from './deps'
import { counterpartOf, type DomainName, displayName, isWithin, parseDomainName } from './hostname'
import { presentOne, requireDomain } from './read'
import { addressNotes, expectedRecords } from './records'
import { holdRedirects, requireRedirectTarget } from './redirects'

/** Maximum domains per project, so that one project cannot fill the route table. */
const maxDomains = 1000
/** Maximum domains per team. */
const maxDomainsOfTeam = 10_000

/** @throws ERR_INVALID_INPUT for names of the platform itself */
function refuseReserved(deps: DomainDeps, name: DomainName): void {
  const own = [deps.baseDomain, 'localhost'].find((host) => isWithin(name.base, host)) ?? deps.reservedHosts.find((host) => host === name.hostname)
  if (own)
    throw new AppError('ERR_INVALID_INPUT', `${name.hostname} belongs to this installation itself (${own}).`, {
      nextAction: `Every project has its own host below ${deps.baseDomain} already; add a domain that you registered.`,
    })
}

/** The environment with this name; by default production. @throws ERR_NOT_FOUND */
export async function requireEnvironment(
  db: ScopedClient,
  projectId: string,
  name: string | null | undefined,
): Promise<{ id: string; name: string }> {
  const row = await db.environment.findFirst({
    where: { projectId, ...(name ? { name } : { kind: 'PRODUCTION' as const }) },
    select: { id: true, name: true },
  })
  if (!row) throw new AppError('ERR_NOT_FOUND', `The project has no environment ${name ?? 'production'}.`)
  return row
}

/** The DNS records that a name needs; stores nothing. */
export async function previewDomain(deps: DomainDeps, actor: Actor, project: string, hostname: string): Promise<DomainPreview> {
  authorize(actor, 'domain.read')
  const db = scopeTo(deps.prisma, actor)
  const { slug } = await requireProject(db, project)
  const name = parseDomainName(hostname)
  refuseReserved(deps, name)
  const rival = await rivalClaim(deps.prisma, actor.teamId, name)
  const own = await deps.own()
  const { records } = expectedRecords({ name, addresses: own.addresses, projectHost: projectHost(slug, deps.baseDomain) })
  return {
    hostname: name.hostname,
    displayName: displayName(name.hostname),
    kind: name.kind,
    counterpart: await missingCounterpart(db, name),
    records,
    notes: addressNotes(own),
    claim: rival === 'none' ? null : claimRecord(name, claimToken(deps.claimSecret, actor.teamId, name.hostname)),
  }
}

/** The www name of an apex, or the apex of a www name; null: neither applies, or the team already has it. */
async function missingCounterpart(db: ScopedClient, name: DomainName): Promise<string | null> {
  const hostname = counterpartOf(name)
  return hostname !== null && (await db.domain.count({ where: { hostname } })) === 0 ? hostname : null
}

/**
 * Adds a domain, which is routed after the doctor has verified it. A domain of another team is transferred if DNS proves that this team
 * owns it.
 * @throws ERR_INVALID_INPUT, ERR_NOT_FOUND, ERR_CONFLICT (with the record that proves the claim)
 */
export async function addDomain(deps: DomainDeps, actor: Actor, project: string, input: z.output<typeof domainInput>): Promise<DomainView> {
  authorize(actor, 'domain.write')
  const db = scopeTo(deps.prisma, actor)
  const { id: projectId } = await requireProject(db, project)
  const environment = await requireEnvironment(db, projectId, input.environment)
  const name = parseDomainName(input.hostname)
  refuseReserved(deps, name)
  await refuseOwn(db, name)
  const redirectTo = input.redirectTo ? await requireRedirectTarget(db, { projectId, hostname: name.hostname }, input.redirectTo) : null
  const token = claimToken(deps.claimSecret, actor.teamId, name.hostname)
  const takeOver = (await rivalClaim(deps.prisma, actor.teamId, name)) === 'exact'
  if (takeOver) await requireProof(deps, name, token)
  const id = newId()
  const fields = { projectId, environmentId: environment.id, hostname: name.hostname, token, branch: input.branch, redirectTo }
  const lost = await insert(deps, db, actor, { ...fields, id }, takeOver).catch((error) => {
    throw isUniqueViolation(error) ? taken(name) : error
  })
  if (takeOver) await deps.routesChanged()
  // Update open dashboards of the team that lost the domain.
  if (lost) await deps.bus.publish({ kind: 'domain', ...lost })
  await deps.bus.publish({ kind: 'domain', id, teamId: actor.teamId, projectId })
  return presentOne(deps, db, await requireDomain(db, id))
}

const taken = (name: DomainName) =>
  new AppError('ERR_CONFLICT', `${name.hostname} was added by somebody else at this moment.`, { nextAction: 'Add it again to see what to do.' })

async function refuseOwn(db: ScopedClient, name: DomainName): Promise<void> {
  const row = await db.domain.findFirst({
    where: { hostname: name.hostname },
    select: { environment: { select: { project: { select: { name: true } } } } },
  })
  if (row)
    throw new AppError('ERR_CONFLICT', `${name.hostname} is a domain of the project ${row.environment.project.name} already.`, {
      nextAction: 'Remove it there first.',
    })
}

/** @throws ERR_CONFLICT that names the required record, if the record is missing */
async function requireProof(deps: DomainDeps, name: DomainName, token: string): Promise<void> {
  const found = await deps.openDns().ask(claimName(name), 'TXT')
  if (found.kind === 'found' && found.values.some((value) => value.trim() === token)) return
  throw new AppError('ERR_CONFLICT', `${name.hostname} is used by another team of this installation.`, {
    nextAction: `If it is yours, set this TXT record at your DNS host and add it again: ${claimName(name)} → ${token}`,
  })
}

interface NewDomain {
  id: string
  projectId: string
  environmentId: string
  hostname: string
  token: string
  branch: string | null
  redirectTo: string | null
}

/** A transaction of a scoped or an unscoped client. */
interface CountingTransaction {
  team: { update(args: { where: { id: string }; data: { id: string }; select: { id: true } }): Promise<unknown> }
  domain: { count(args: { where: { teamId: string; projectId?: string } }): Promise<number> }
}

/**
 * Checks the limits within the transaction that adds the domain, one addition per team at a time: two concurrent additions could otherwise
 * both take the last place.
 * @throws ERR_INVALID_INPUT
 */
async function requireRoom(tx: CountingTransaction, { teamId }: Actor, projectId: string): Promise<void> {
  // Any write to the team's row locks it until the transaction ends.
  await tx.team.update({ where: { id: teamId }, data: { id: teamId }, select: { id: true } })
  if ((await tx.domain.count({ where: { teamId, projectId } })) >= maxDomains)
    throw new AppError('ERR_INVALID_INPUT', `A project has at most ${maxDomains} domains.`, { nextAction: 'Use a wildcard, or remove some.' })
  if ((await tx.domain.count({ where: { teamId } })) >= maxDomainsOfTeam)
    throw new AppError('ERR_INVALID_INPUT', `A team has at most ${maxDomainsOfTeam} domains.`, { nextAction: 'Use wildcards, or remove some.' })
}

/** @returns team and project that lost the domain; null: none */
async function insert(
  deps: DomainDeps,
  db: ScopedClient,
  actor: Actor,
  row: NewDomain,
  takeOver: boolean,
): Promise<{ id: string; teamId: string; projectId: string } | null> {
  const detail = { hostname: row.hostname, ...(takeOver ? { takenOver: true } : {}) }
  const payload = { domainId: row.id, hostname: row.hostname }
  const added = { teamId: actor.teamId, projectId: row.projectId, kind: 'domain.added', payload } as const
  if (!takeOver)
    return db.$transaction(async (tx) => {
      await requireRoom(tx, actor, row.projectId)
      if (row.redirectTo) {
        await holdRedirects(tx, row.projectId)
        await requireRedirectTarget(tx, row, row.redirectTo)
      }
      await tx.domain.create({ data: { ...row, teamId: actor.teamId, nextCheckAt: new Date() } })
      await writeAudit(tx, actor, { action: 'domain.added', subject: row.id, detail })
      await writeEvent(tx, added)
      return null
    })
  // The only write to another team's data: DNS proves the ownership, and the other team's audit log records it.
  return deps.prisma.$transaction(async (tx) => {
    await requireRoom(tx, actor, row.projectId)
    const where = { hostname: row.hostname, teamId: { not: actor.teamId } }
    const rival = await tx.domain.findFirst({ where, select: { id: true, teamId: true, projectId: true } })
    if (rival) {
      await tx.domain.delete({ where: { id: rival.id } })
      await tx.domain.updateMany({ where: { projectId: rival.projectId, redirectTo: row.hostname }, data: { redirectTo: null } })
      const note = { actorId: 'system', actorName: 'Switchyard', action: 'domain.lost', subject: rival.id }
      await tx.auditEntry.create({
        data: { ...note, teamId: rival.teamId, detail: { hostname: row.hostname, reason: 'another team proved by DNS that it owns the name' } },
      })
      const lost = { domainId: rival.id, hostname: row.hostname, reason: 'claimed_by_another_team' } as const
      await writeEvent(tx, { teamId: rival.teamId, projectId: rival.projectId, kind: 'domain.removed', payload: lost })
    }
    await tx.domain.create({ data: { ...row, teamId: actor.teamId, nextCheckAt: new Date() } })
    await tx.auditEntry.create({
      data: { teamId: actor.teamId, actorId: actor.id, actorName: actor.name, action: 'domain.added', subject: row.id, detail },
    })
    await writeEvent(tx, added)
    return rival
  })
}
