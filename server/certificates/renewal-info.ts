import type { Pool } from 'pg'
import type { Certificate, PrismaClient } from '@/server/database/generated/client'
import type { AcmeTransport } from './acme'
import { renewalId } from './pem'
import { AcmeProblem } from './problems'
import { nameOf, successes } from './record'
import { pollDelay, type RenewalInfo, renewAt, selectWithin } from './schedule'

/** ACME renewal information (RFC 9773): the CA's suggestion when to renew a certificate. */

const batch = 20
const deadlineMs = 20_000
const dayMs = 24 * 3_600_000

export interface RenewalInfoDeps {
  pool: Pool
  prisma: PrismaClient
  transport: AcmeTransport
  now: () => number
  random: () => number
}

/** The value of `Certificate.renewalInfo`; null: none. */
export function readRenewalInfo(value: unknown): RenewalInfo | null {
  return typeof value === 'object' && value !== null && typeof (value as RenewalInfo).selectedAt === 'number' ? (value as RenewalInfo) : null
}

/**
 * Polls the CAs about certificates whose information is outdated, and reschedules their renewal. A CA that does not answer changes nothing
 * (RFC 9773 §4.3: the last known information stays valid) and does not delay other CAs.
 * @throws the error of the last CA that failed
 */
export async function pollRenewalInfo(deps: RenewalInfoDeps, directories: readonly string[], signal: AbortSignal): Promise<void> {
  let failure: unknown
  for (const directory of directories)
    await pollDirectory(deps, directory, signal).catch((error) => {
      failure = error
    })
  if (failure !== undefined) throw failure
}

async function pollDirectory(deps: RenewalInfoDeps, directory: string, signal: AbortSignal): Promise<void> {
  const { renewalInfo } = await deps.transport.directory(directory, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
  if (!renewalInfo) return
  const { rows } = await deps.pool.query<{ id: string }>(
    `SELECT "id" FROM "Certificate" WHERE "source"='acme' AND "state"='active' AND "directory"=$1 AND "leaseOwner" IS NULL
       AND COALESCE(("renewalInfo"->>'nextPollAt')::numeric, 0) <= $2 ORDER BY "notAfter" LIMIT ${batch}`,
    [directory, deps.now()],
  )
  const certificates = await deps.prisma.certificate.findMany({ where: { id: { in: rows.map((row) => row.id) } } })
  for (const certificate of certificates) await pollOne(deps, { base: renewalInfo, directory }, certificate, signal)
}

async function pollOne(
  deps: RenewalInfoDeps,
  { base, directory }: { base: string; directory: string },
  certificate: Certificate,
  signal: AbortSignal,
): Promise<void> {
  const { chainPem, names, notBefore, notAfter, serial } = certificate
  if (!chainPem || !notBefore || !notAfter) return
  const now = deps.now()
  const answer = await answerFor(deps, base, chainPem, signal)
  const info = nextInfo(readRenewalInfo(certificate.renewalInfo), answer, now, deps.random())
  const asked = await successes(deps.prisma, { name: nameOf({ names }), directory, since: now - dayMs })
  const life = { notBefore: notBefore.getTime(), notAfter: notAfter.getTime() }
  // Set the next poll even without a window: otherwise these certificates would be polled first again and again.
  const data = info
    ? { renewalInfo: { ...info }, nextAttemptAt: new Date(renewAt(life, info, deps.random(), asked.at(-1))) }
    : { renewalInfo: { nextPollAt: now + pollDelay(answer.retryAfterMs) } }
  // Update only if the row is unchanged: it may have been claimed or renewed in the meantime.
  await deps.prisma.certificate.updateMany({ where: { id: certificate.id, leaseOwner: null, state: 'active', serial }, data })
}

/** Polls the CA about one certificate. `data` null: the CA cannot identify the certificate or does not know it. @throws AuthoritySilent */
async function answerFor(
  { transport }: RenewalInfoDeps,
  base: string,
  chainPem: string,
  signal: AbortSignal,
): Promise<{ data: unknown; retryAfterMs: number | null }> {
  const id = renewalId(chainPem)
  if (!id) return { data: null, retryAfterMs: dayMs }
  try {
    return await transport.get(`${base.replace(/\/$/, '')}/${id}`, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]))
  } catch (error) {
    if (!(error instanceof AcmeProblem)) throw error
    return { data: null, retryAfterMs: error.retryAfterMs }
  }
}

/** Keeps the selected time if the window is unchanged. null: the answer is unusable and no earlier information exists. */
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
  // RFC 9773 §4.2: an end before the start is an error of the CA; keep the earlier information.
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
