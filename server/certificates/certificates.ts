import type { Certificate, PrismaClient } from '@/server/database/generated/client'
import type { CertificateDetail, CertificateFilter, CertificatePage, CertificateUpload, CertificateView } from '@/shared/certificates'
import { certificateTraits } from '@/shared/certificates'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import type { Page } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireDomain } from '../domains/read'
import type { ChangeBus } from '../events/bus'
import { writeEvent } from '../outbox/write-event'
import type { Secrets } from '../secrets/secrets'
import { authorize } from '../teams/policy'
import { checkPair } from './pem'
import { getCertificate, listCertificates, presentCertificate, requireCertificate } from './read'
import { nameOf } from './record'

const renewalWindowMs = 24 * 3_600_000
const renewalsPerWindow = 3

export interface CertificateDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal'>
  bus: Pick<ChangeBus, 'publish'>
  /** Publishes changed certificates to the routers. */
  routesChanged: () => Promise<void>
}

export interface Certificates {
  /** Newest first. @throws ERR_INVALID_INPUT when the cursor's row is gone */
  list(actor: Actor, filter: CertificateFilter, page: Page): Promise<CertificatePage>
  /** With the latest attempts. */
  get(actor: Actor, certificateId: string): Promise<CertificateDetail>
  /** Orders the certificate now, within the limit on failed orders. @throws ERR_CONFLICT while an order is in progress */
  retry(actor: Actor, certificateId: string): Promise<CertificateView>
  /** Uploads a certificate. @throws ERR_INVALID_INPUT that names the mismatch */
  upload(actor: Actor, input: CertificateUpload): Promise<CertificateView>
  /** @throws ERR_CONFLICT for an automatic one */
  remove(actor: Actor, certificateId: string): Promise<void>
}

/** Use-cases about certificates. `scheduler.ts` places the orders that these record in the database. */
export function createCertificates(deps: CertificateDeps): Certificates {
  return {
    list: (actor, filter, page) => listCertificates(deps.prisma, actor, filter, page),
    get: (actor, id) => getCertificate(deps.prisma, actor, id),
    retry: (actor, id) => retryCertificate(deps, actor, id),
    upload: (actor, input) => uploadCertificate(deps, actor, input),
    remove: (actor, id) => removeCertificate(deps, actor, id),
  }
}

const announce = (deps: CertificateDeps, teamId: string, domainId: string, projectId: string) =>
  deps.bus.publish({ kind: 'domain', id: domainId, teamId, projectId })

/**
 * Schedules an order now; the limit on failed orders still applies.
 * @throws ERR_CONFLICT when an order is in progress, the certificate was uploaded, its domain does not use it, or it was renewed too often
 */
async function retryCertificate(deps: CertificateDeps, actor: Actor, id: string): Promise<CertificateView> {
  authorize(actor, 'certificate.retry')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireCertificate(db, id)
  if (row.source === 'uploaded')
    throw new AppError('ERR_CONFLICT', 'This certificate was uploaded: it cannot be renewed from here.', { nextAction: 'Upload its successor.' })
  const { hostname, certificateMode } = row.domain
  if (certificateMode !== 'automatic')
    throw new AppError(
      'ERR_CONFLICT',
      certificateMode === 'off'
        ? `HTTPS is off for ${hostname}: no certificate is asked for.`
        : `${hostname} is served with a certificate of your own.`,
      { nextAction: 'Set the certificate of the domain to automatic first.' },
    )
  if (!certificateTraits[row.state].retryable && row.leaseOwner)
    throw new AppError('ERR_CONFLICT', 'It is being asked for right now.', { nextAction: 'Wait for the outcome.' })
  if (row.state === 'active') await refuseTooMany(db, row)
  await db.$transaction(async (tx) => {
    await tx.certificate.updateMany({ where: { id, leaseOwner: null }, data: { nextAttemptAt: new Date() } })
    await writeAudit(tx, actor, { action: 'certificate.retried', subject: id, detail: { hostname } })
  })
  await announce(deps, actor.teamId, row.domainId, row.domain.projectId)
  return presentCertificate(await requireCertificate(db, id))
}

/**
 * Limits repeated renewals: CAs limit certificates per name (Let's Encrypt: 5 a week) and orders of the account shared by all teams, so
 * renewing a valid certificate again and again could block a necessary renewal.
 */
async function refuseTooMany(db: ScopedClient, { names, directory }: Pick<Certificate, 'names' | 'directory'>): Promise<void> {
  const since = new Date(Date.now() - renewalWindowMs)
  const where = { name: nameOf({ names }), directory: directory ?? '', succeeded: true, startedAt: { gt: since } }
  if ((await db.certificateTry.count({ where })) < renewalsPerWindow) return
  throw new AppError(
    'ERR_CONFLICT',
    `It was issued ${renewalsPerWindow} times within a day already; certificate authorities allow few of one name.`,
    {
      stillServing: 'The certificate in use is valid, and renewed by itself in time.',
      nextAction: 'Wait a day, or upload a certificate of your own.',
    },
  )
}

/** Uses an uploaded certificate; it replaces an earlier upload. @throws ERR_INVALID_INPUT that names the mismatch */
async function uploadCertificate(deps: CertificateDeps, actor: Actor, input: CertificateUpload): Promise<CertificateView> {
  authorize(actor, 'certificate.write')
  const db = scopeTo(deps.prisma, actor)
  const domain = await requireDomain(db, input.domain)
  const { chainPem, keyPem, facts } = checkPair({ chainPem: input.certificate, keyPem: input.privateKey, hostname: domain.hostname, now: Date.now() })
  const keyCiphertext = await deps.secrets.seal(actor.teamId, keyPem)
  const id = newId()
  await db.$transaction(async (tx) => {
    // Update the domain first, which locks its row: a second concurrent upload waits and replaces the first, and neither can use a deleted
    // domain.
    const mode = { certificateMode: 'uploaded' as const, nextCheckAt: new Date() }
    const { count } = await tx.domain.updateMany({ where: { id: domain.id }, data: mode })
    if (count === 0) throw new AppError('ERR_NOT_FOUND', `${domain.hostname} was removed meanwhile.`, { nextAction: 'Add the domain again first.' })
    await tx.certificate.deleteMany({ where: { domainId: domain.id, source: 'uploaded' } })
    await tx.certificate.create({
      data: {
        id,
        teamId: actor.teamId,
        domainId: domain.id,
        source: 'uploaded',
        state: 'active',
        names: facts.names,
        issuer: facts.issuer,
        serial: facts.serial,
        notBefore: new Date(facts.notBefore),
        notAfter: new Date(facts.notAfter),
        chainPem,
        keyCiphertext,
      },
    })
    const detail = { hostname: domain.hostname, serial: facts.serial, notAfter: new Date(facts.notAfter).toISOString() }
    await writeAudit(tx, actor, { action: 'certificate.uploaded', subject: id, detail })
    const payload = { certificateId: id, domainId: domain.id, hostname: domain.hostname, notAfter: detail.notAfter }
    await writeEvent(tx, { teamId: actor.teamId, projectId: domain.projectId, kind: 'certificate.uploaded', payload })
  })
  await deps.routesChanged()
  await announce(deps, actor.teamId, domain.id, domain.projectId)
  return presentCertificate(await requireCertificate(db, id))
}

/** Removes an uploaded certificate; the domain returns to automatic certificates. @throws ERR_CONFLICT for an automatic certificate */
async function removeCertificate(deps: CertificateDeps, actor: Actor, id: string): Promise<void> {
  authorize(actor, 'certificate.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireCertificate(db, id)
  if (row.source !== 'uploaded')
    throw new AppError('ERR_CONFLICT', 'This certificate is looked after automatically: it would come again.', {
      nextAction: 'Turn HTTPS off for the domain, upload a certificate of your own, or remove the domain.',
    })
  await db.$transaction(async (tx) => {
    await tx.certificate.deleteMany({ where: { id } })
    await tx.domain.updateMany({
      where: { id: row.domainId, certificateMode: 'uploaded' },
      data: { certificateMode: 'automatic', nextCheckAt: new Date() },
    })
    const { hostname, projectId } = row.domain
    await writeAudit(tx, actor, { action: 'certificate.removed', subject: id, detail: { hostname } })
    const payload = { certificateId: id, domainId: row.domainId, hostname }
    await writeEvent(tx, { teamId: actor.teamId, projectId, kind: 'certificate.removed', payload })
  })
  await deps.routesChanged()
  await announce(deps, actor.teamId, row.domainId, row.domain.projectId)
}
