import type { Certificate, Domain } from '@/server/database/generated/client'
import type { DomainFilter, DomainPage, DomainView } from '@/shared/domains'
import type { WireError } from '@/shared/errors'
import { AppError } from '@/shared/errors'
import { hostUrl, projectHost } from '@/shared/naming'
import { wireErrorSchema } from '@/shared/views'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { literal, pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireProject } from '../projects/read'
import { authorize } from '../teams/policy'
import { coveringNames, usableCertificate } from './covers'
import type { DomainDeps } from './deps'
import type { OwnAddresses } from './doctor/own-addresses'
import { displayName, searchedName, storedDomainName } from './hostname'
import { readChecks, watchedPauseMs } from './record'
import { addressNotes, expectedRecords } from './records'

type Row = Domain & { environment: { name: string; project: { slug: string } } }
type CertificateRow = Pick<Certificate, 'id' | 'domainId' | 'state' | 'names' | 'issuer' | 'notAfter' | 'nextAttemptAt' | 'problem' | 'createdAt'> & {
  chainPem?: string | null
}
const include = { environment: { select: { name: true, project: { select: { slug: true } } } } } as const

/** Finds a domain by id or by hostname in stored or displayed form. @throws ERR_NOT_FOUND, for another team's domain too */
export async function requireDomain(db: ScopedClient, idOrHostname: string): Promise<Row> {
  const hostname = searchedName(idOrHostname)
  const row = await db.domain.findFirst({ where: { OR: [{ id: idOrHostname }, { hostname }] }, include })
  if (!row)
    throw new AppError('ERR_NOT_FOUND', `There is no domain "${idOrHostname}" in this team.`, {
      nextAction: 'List the domains of the project to see their names.',
    })
  return row
}

/** Domains of a project, sorted by name. */
export async function listDomains(deps: DomainDeps, actor: Actor, project: string, { search, state }: DomainFilter, page: Page): Promise<DomainPage> {
  authorize(actor, 'domain.read')
  const db = scopeTo(deps.prisma, actor)
  const { id: projectId } = await requireProject(db, project)
  await requireCursor(page, (id) => db.domain.count({ where: { id, projectId } }))
  const found = await db.domain.findMany({
    where: { projectId, ...(state ? { state } : {}), ...(search ? { hostname: { contains: literal(searchedName(search)) } } : {}) },
    include,
    orderBy: { hostname: 'asc' },
    ...pageArguments(page),
  })
  const { rows, nextCursor } = pageOf(found, page.limit)
  return { items: await present(deps, db, rows), nextCursor }
}

/** Returns a domain. While it has a problem, schedules an early check, whose result updates the viewer's page. */
export async function getDomain(deps: DomainDeps, actor: Actor, idOrHostname: string): Promise<DomainView> {
  authorize(actor, 'domain.read')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDomain(db, idOrHostname)
  const soon = new Date(Math.max(Date.now(), (row.checkedAt?.getTime() ?? 0) + watchedPauseMs))
  const unwell = row.problem !== null || row.state !== 'verified'
  if (unwell && row.nextCheckAt && row.nextCheckAt > soon) {
    const { count } = await db.domain.updateMany({ where: { id: row.id, nextCheckAt: { gt: soon } }, data: { nextCheckAt: soon } })
    if (count > 0) {
      row.nextCheckAt = soon
      // Wakes the background checks, which sleep until the previously next check. Without a team no dashboard is notified.
      await deps.bus.publish({ kind: 'domain', id: row.id, teamId: null, projectId: null })
    }
  }
  return presentOne(deps, db, row)
}

export async function presentOne(deps: DomainDeps, db: ScopedClient, row: Row): Promise<DomainView> {
  const [view] = await present(deps, db, [row])
  if (!view) throw new AppError('ERR_INTERNAL', 'A domain vanished while it was read.')
  return view
}

const certificateFields = {
  id: true,
  domainId: true,
  state: true,
  names: true,
  issuer: true,
  notAfter: true,
  nextAttemptAt: true,
  problem: true,
  createdAt: true,
} as const

async function present(deps: DomainDeps, db: ScopedClient, rows: Row[]): Promise<DomainView[]> {
  if (rows.length === 0) return []
  const usableHere = { ...usableCertificate(new Date()), names: { hasSome: rows.flatMap((row) => coveringNames(row.hostname)) } }
  const [usable, attempts] = await Promise.all([
    db.certificate.findMany({ where: usableHere, select: certificateFields, orderBy: { notAfter: 'desc' } }),
    db.certificate.findMany({
      where: { domainId: { in: rows.map((row) => row.id) } },
      select: certificateFields,
      orderBy: { createdAt: 'desc' },
      distinct: ['domainId'],
    }),
  ])
  const byName = new Map<string, CertificateRow>()
  // Sorted by expiry, latest first: keep the certificate that lasts longest.
  for (const one of usable) for (const name of one.names) if (!byName.has(name)) byName.set(name, one)
  const attemptOf = new Map(attempts.map((one) => [one.domainId, one]))
  const own = await deps.own()
  return rows.map((row) => {
    const serving = row.certificateMode === 'off' ? [] : coveringNames(row.hostname).flatMap((name) => byName.get(name) ?? [])
    return presentRow(deps, row, serving[0] ?? attemptOf.get(row.id) ?? null, serving.length > 0, own)
  })
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

function wireOf(value: unknown): WireError | null {
  const parsed = wireErrorSchema.safeParse(value)
  return parsed.success ? (parsed.data as WireError) : null
}

function presentRow(deps: DomainDeps, row: Row, certificate: CertificateRow | null, https: boolean, own: OwnAddresses): DomainView {
  const { id, projectId, hostname, branch, state, redirectTo, httpsRedirect, hstsSeconds, certificateMode, dnsProviderId } = row
  const name = storedDomainName(hostname)
  const expected = expectedRecords({ name, addresses: own.addresses, projectHost: projectHost(row.environment.project.slug, deps.baseDomain) })
  const secure = https && deps.ports.https !== null
  return {
    id,
    projectId,
    hostname,
    displayName: displayName(hostname),
    kind: name.kind,
    environment: row.environment.name,
    branch,
    state,
    problem: wireOf(row.problem),
    redirectTo,
    httpsRedirect,
    hstsSeconds,
    certificateMode,
    certificateAuthority: deps.certificateAuthority,
    dnsProviderId,
    ...expected,
    notes: addressNotes(own),
    checks: readChecks(row.checks).findings,
    checkedAt: iso(row.checkedAt),
    nextCheckAt: iso(row.nextCheckAt),
    certificate: certificate && presentCertificate(certificate),
    url: hostUrl(hostname, secure ? { scheme: 'https', port: deps.ports.https ?? 443 } : { scheme: 'http', port: deps.ports.http }),
    createdAt: row.createdAt.toISOString(),
  }
}

function presentCertificate(row: CertificateRow): NonNullable<DomainView['certificate']> {
  const { id, state, names, issuer } = row
  return { id, state, names, issuer, notAfter: iso(row.notAfter), nextAttemptAt: iso(row.nextAttemptAt), problem: wireOf(row.problem) }
}
