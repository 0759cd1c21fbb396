import type { Pool } from 'pg'
import type { Certificate, PrismaClient } from '@/server/database/generated/client'
import type { AcmeTransport } from './acme'
import { renewalId } from './pem'
import { pollDelay, type RenewalInfo, renewAt, selectWithin } from './schedule'

/** ACME renewal information, RFC 9773: the CA's own wish when a certificate should be renewed. */

const batch = 20
const deadlineMs = 20_000

export interface RenewalInfoDeps {
  pool: Pool
  prisma: PrismaClient
  transport: AcmeTransport
  now: () => number
  random: () => number
}

/** `Certificate.renewalInfo`, or null when there is none. */
export function readRenewalInfo(value: unknown): RenewalInfo | null {
  return typeof value === 'object' && value !== null && typeof (value as RenewalInfo).selectedAt === 'number' ? (value as RenewalInfo) : null
}

/**
 * Asks about the certificates whose last answer is old, and moves their renewal to where the CA wants it.
 * @returns when to come again; a CA that does not answer changes nothing (RFC 9773 §4.3: the last known stays good)
 */
export async function pollRenewalInfo(deps: RenewalInfoDeps, directories: readonly string[], signal: AbortSignal): Promise<void> {
  for (const directory of directories) {
    const { renewalInfo } = await deps.transport.directory(directory, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
    if (!renewalInfo) continue
    const { rows } = await deps.pool.query<{ id: string }>(
      `SELECT "id" FROM "Certificate" WHERE "source"='acme' AND "state"='active' AND "directory"=$1 AND "leaseOwner" IS NULL
         AND COALESCE(("renewalInfo"->>'nextPollAt')::numeric, 0) <= $2 ORDER BY "notAfter" LIMIT ${batch}`,
      [directory, deps.now()],
    )
    const certificates = await deps.prisma.certificate.findMany({ where: { id: { in: rows.map((row) => row.id) } } })
    for (const certificate of certificates) await pollOne(deps, renewalInfo, certificate, signal)
  }
}

async function pollOne(deps: RenewalInfoDeps, base: string, certificate: Certificate, signal: AbortSignal): Promise<void> {
  const { chainPem, notBefore, notAfter } = certificate
  const id = chainPem ? renewalId(chainPem) : null
  if (!chainPem || !id || !notBefore || !notAfter) return
  const answer = await deps.transport.get(`${base.replace(/\/$/, '')}/${id}`, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
  const info = nextInfo(readRenewalInfo(certificate.renewalInfo), answer, deps.now(), deps.random())
  if (!info) return
  const nextAttemptAt = new Date(renewAt({ notBefore: notBefore.getTime(), notAfter: notAfter.getTime() }, info, deps.random()))
  // Only what this answer is about: meanwhile it may have been claimed, or renewed.
  await deps.prisma.certificate.updateMany({
    where: { id: certificate.id, leaseOwner: null, state: 'active', serial: certificate.serial },
    data: { renewalInfo: { ...info }, nextAttemptAt },
  })
}

/** A window that is the same as before keeps the moment chosen in it. null: the answer is unusable and there was none before. */
export function nextInfo(
  before: RenewalInfo | null,
  answer: { data: unknown; retryAfterMs: number | null },
  now: number,
  random: number,
): RenewalInfo | null {
  const nextPollAt = now + pollDelay(answer.retryAfterMs)
  const { suggestedWindow, explanationURL } = (answer.data ?? {}) as {
    suggestedWindow?: { start?: unknown; end?: unknown }
    explanationURL?: unknown
  }
  const start = Date.parse(String(suggestedWindow?.start))
  const end = Date.parse(String(suggestedWindow?.end))
  // RFC 9773 §4.2: an end before the start is an error of the CA's; what was known stays.
  if (!Number.isFinite(start) || !Number.isFinite(end) || end <= start) return before ? { ...before, nextPollAt } : null
  const same = before !== null && before.start === start && before.end === end
  return {
    start,
    end,
    explanationUrl: typeof explanationURL === 'string' && /^https?:\/\//.test(explanationURL) ? explanationURL.slice(0, 500) : null,
    selectedAt: same ? before.selectedAt : selectWithin({ start, end }, now, random),
    nextPollAt,
  }
}
