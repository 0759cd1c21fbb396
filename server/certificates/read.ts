import type { Certificate, CertificateTry, PrismaClient } from '@/server/database/generated/client'
import type { CertificateDetail, CertificateFilter, CertificatePage, CertificateTryView, CertificateView } from '@/shared/certificates'
import { AppError, type WireError } from '@/shared/errors'
import { wireErrorSchema } from '@/shared/views'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { literal, pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { searchedName } from '../domains/hostname'
import { requireProject } from '../projects/read'
import { authorize } from '../teams/policy'
import { readRenewalInfo } from './renewal-info'

const shownTries = 20
const include = { domain: { select: { hostname: true, projectId: true, certificateMode: true } } } as const
/** Columns never shown and not needed in lists: chains and keys. */
const bulky = { chainPem: true, keyCiphertext: true, orderKeyCiphertext: true } as const
type Row = Omit<Certificate, keyof typeof bulky> & {
  domain: { hostname: string; projectId: string; certificateMode: 'automatic' | 'uploaded' | 'off' }
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

function wireOf(value: unknown): WireError | null {
  const parsed = wireErrorSchema.safeParse(value)
  return parsed.success ? (parsed.data as WireError) : null
}

/** @throws ERR_NOT_FOUND, for another team's certificate too */
export async function requireCertificate(db: ScopedClient, id: string): Promise<Row> {
  const row = await db.certificate.findFirst({ where: { id }, include, omit: bulky })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such certificate in this team.', { nextAction: 'List the certificates to see them.' })
  return row
}

/** Certificates of the team, a project or a domain; newest first. */
export async function listCertificates(prisma: PrismaClient, actor: Actor, filter: CertificateFilter, page: Page): Promise<CertificatePage> {
  authorize(actor, 'certificate.read')
  const db = scopeTo(prisma, actor)
  const projectId = filter.projectId === undefined ? null : (await requireProject(db, filter.projectId)).id
  await requireCursor(page, (id) => db.certificate.count({ where: { id } }))
  const domain = {
    ...(projectId ? { projectId } : {}),
    ...(filter.search ? { hostname: { contains: literal(searchedName(filter.search)) } } : {}),
    // The exact hostname overrides the search text.
    ...(filter.domain ? { hostname: searchedName(filter.domain) } : {}),
  }
  const found = await db.certificate.findMany({
    where: Object.keys(domain).length > 0 ? { domain } : {},
    include,
    omit: bulky,
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    ...pageArguments(page),
  })
  const { rows, nextCursor } = pageOf(found, page.limit)
  return { items: rows.map(presentCertificate), nextCursor }
}

export async function getCertificate(prisma: PrismaClient, actor: Actor, id: string): Promise<CertificateDetail> {
  authorize(actor, 'certificate.read')
  const db = scopeTo(prisma, actor)
  const row = await requireCertificate(db, id)
  const tries = await db.certificateTry.findMany({ where: { certificateId: id }, orderBy: { id: 'desc' }, take: shownTries })
  return { ...presentCertificate(row), tries: tries.map(presentTry) }
}

export function presentCertificate(row: Row): CertificateView {
  const { id, domainId, state, names, issuer, serial, attempts } = row
  return {
    id,
    domainId,
    hostname: row.domain.hostname,
    projectId: row.domain.projectId,
    state,
    source: row.source === 'uploaded' ? 'uploaded' : 'acme',
    names,
    issuer,
    serial,
    notBefore: iso(row.notBefore),
    notAfter: iso(row.notAfter),
    nextAttemptAt: iso(row.nextAttemptAt),
    attempts,
    problem: wireOf(row.problem),
    renewalExplanationUrl: readRenewalInfo(row.renewalInfo)?.explanationUrl ?? null,
    createdAt: row.createdAt.toISOString(),
  }
}

function presentTry(row: CertificateTry): CertificateTryView {
  const outcome = row.succeeded === true ? 'succeeded' : row.succeeded === false ? 'failed' : row.endedAt ? 'unasked' : 'running'
  return {
    id: String(row.id),
    authority: URL.parse(row.directory)?.host ?? row.directory,
    startedAt: row.startedAt.toISOString(),
    endedAt: iso(row.endedAt),
    outcome,
    problem: wireOf(row.problem),
  }
}
