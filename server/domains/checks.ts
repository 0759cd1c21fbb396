import type { Logger } from 'pino'
import { type Domain, Prisma, type PrismaClient } from '@/server/database/generated/client'
import { type DomainCheck, domainTraits } from '@/shared/domains'
import type { WireError } from '@/shared/errors'
import { projectHost } from '@/shared/naming'
import { canMove, domainTransitions } from '@/shared/states'
import type { ChangeBus } from '../events/bus'
import { writeEvent } from '../outbox/write-event'
import { rivalClaim } from './claims'
import { coveringNames, usableCertificate } from './covers'
import { examine, judge, type Verdict } from './doctor/examine'
import { type FactSources, gatherFacts, type Subject } from './doctor/facts'
import { storedDomainName } from './hostname'
import { pauseMs, readChecks, writeChecks } from './record'

export interface DomainCheckDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  logger: Pick<Logger, 'warn'>
  baseDomain: string
  /** Called for each examination: addresses of interfaces and CAs may change at run time. */
  sources: () => Promise<FactSources>
  /** Called when the set of routed domains has changed. */
  onRouted: () => Promise<void>
  /** Called after each examination in which all checks that a CA depends on passed. */
  onReady?: (domainId: string) => void
}

export interface Precheck {
  /** All checks that a CA depends on passed: it may be asked. */
  ready: boolean
  /** Why a CA must not be asked; null: it may be asked. */
  problem: WireError | null
  /** Time of the next check; null: the domain was removed. */
  nextCheckAt: Date | null
}

export interface DomainChecks {
  /** Examines a domain now, or joins the examination in progress. Does nothing if the domain was removed. */
  check(domainId: string): Promise<void>
  /**
   * Whether a CA may be asked about the domain. Examines the domain unless its last examination is at most `freshMs` old (default 60 s).
   */
  precheck(domainId: string, options?: { freshMs?: number }): Promise<Precheck>
}

/** Stores the results of the domain doctor and notifies routes, certificates and open dashboards. */
export function createDomainChecks(deps: DomainCheckDeps): DomainChecks {
  const running = new Map<string, Promise<void>>()
  const check = (domainId: string): Promise<void> => {
    const current = running.get(domainId)
    if (current) return current
    const started = checkNow(deps, domainId).finally(() => running.delete(domainId))
    running.set(domainId, started)
    return started
  }
  return {
    check,
    async precheck(domainId, { freshMs = 60_000 } = {}) {
      const find = () => deps.prisma.domain.findUnique({ where: { id: domainId } })
      let row = await find()
      if (row && (!row.checkedAt || Date.now() - row.checkedAt.getTime() > freshMs)) {
        await check(domainId)
        row = await find()
      }
      if (!row) return { ready: false, problem: { code: 'ERR_NOT_FOUND', message: 'The domain was removed.' }, nextCheckAt: null }
      const { findings } = readChecks(row.checks)
      const verdict = judge(findings)
      return { ready: findings.length > 0 && verdict.certificate, problem: verdict.problem, nextCheckAt: row.nextCheckAt }
    },
  }
}

async function checkNow(deps: DomainCheckDeps, domainId: string): Promise<void> {
  const { prisma } = deps
  const row = await prisma.domain.findUnique({ where: { id: domainId } })
  if (!row) return
  const sources = await deps.sources()
  const subject = await subjectOf(deps, row)
  const findings = examine(await gatherFacts(subject, sources), sources.ports)
  const verdict = judge(findings)
  const state = nextState(row.state, verdict)
  const write = async (tx: Prisma.TransactionClient) => {
    const isWritten = await writeOutcome(tx, row, state, findings, verdict)
    if (isWritten && state !== row.state) await writeStateEvent(tx, row, state, verdict)
    return isWritten
  }
  const first = domainTraits[state].routed && !domainTraits[row.state].routed
  if (!(await (first ? writeAsFirst(prisma, row, subject, write) : prisma.$transaction(write)))) return
  if (domainTraits[state].routed !== domainTraits[row.state].routed)
    await deps.onRouted().catch((error) => deps.logger.warn({ err: error }, 'routes not published; the monitor tries again'))
  await deps.bus.publish({ kind: 'domain', id: row.id, teamId: row.teamId, projectId: row.projectId })
  if (verdict.certificate && row.certificateMode === 'automatic') deps.onReady?.(row.id)
}

async function subjectOf(deps: DomainCheckDeps, row: Domain): Promise<Subject> {
  const project = await deps.prisma.project.findUniqueOrThrow({ where: { id: row.projectId }, select: { slug: true } })
  const name = storedDomainName(row.hostname)
  return {
    name,
    projectHost: projectHost(project.slug, deps.baseDomain),
    token: row.token,
    // A verified domain stays verified: only the new claimant must prove ownership.
    rival: domainTraits[row.state].routed ? ('none' as const) : await rivalClaim(deps.prisma, row.teamId, name),
    certificateMode: row.certificateMode,
    hasDnsProvider: row.dnsProviderId !== null,
  }
}

/** The next state of a domain. An unknown result changes nothing: a lost DNS answer must not take a site down. */
export function nextState(state: Domain['state'], { traffic }: Pick<Verdict, 'traffic'>): Domain['state'] {
  const wanted = traffic === 'yes' ? 'verified' : traffic === 'no' && state !== 'unverified' ? 'misconfigured' : state
  return canMove(domainTransitions, state, wanted) ? wanted : state
}

/**
 * Serializes writes of one registrable domain. Two teams may pass their checks at the same time: the second team was not asked for proof,
 * because the first had not claimed the domain yet, so its domain is examined again.
 */
async function writeAsFirst(
  prisma: PrismaClient,
  row: Domain,
  { name, rival }: Pick<Subject, 'name' | 'rival'>,
  write: (tx: Prisma.TransactionClient) => Promise<boolean>,
): Promise<boolean> {
  return prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`claim ${name.registrable}`}, 0))`
    if (rival !== 'none' || (await rivalClaim(tx, row.teamId, name)) === 'none') return write(tx)
    await tx.domain.updateMany({ where: { id: row.id }, data: { nextCheckAt: new Date() } })
    return false
  })
}

async function writeStateEvent(tx: Prisma.TransactionClient, row: Domain, state: Domain['state'], { problem }: Verdict): Promise<void> {
  const { teamId, projectId, id: domainId, hostname } = row
  if (state === 'verified') await writeEvent(tx, { teamId, projectId, kind: 'domain.verified', payload: { domainId, hostname } })
  if (state === 'misconfigured')
    await writeEvent(tx, { teamId, projectId, kind: 'domain.misconfigured', payload: { domainId, hostname, code: problem?.code ?? null } })
}

const outcomeOf = (findings: readonly DomainCheck[]): string => findings.map((one) => `${one.id}:${one.state}`).join()

/** Without a certificate the checks stay frequent: their results may still change, and HTTPS cannot be checked yet. */
async function hasCertificate(prisma: Pick<PrismaClient, 'certificate'>, row: Domain): Promise<boolean> {
  const where = { ...usableCertificate(new Date()), teamId: row.teamId, names: { hasSome: coveringNames(row.hostname) } }
  return (await prisma.certificate.findFirst({ where, select: { id: true } })) !== null
}

/** Stores the result. False: the domain was removed or changed during the examination. */
async function writeOutcome(
  prisma: Pick<PrismaClient, 'domain' | 'certificate'>,
  row: Domain,
  state: Domain['state'],
  findings: DomainCheck[],
  verdict: Verdict,
): Promise<boolean> {
  const now = new Date()
  const before = readChecks(row.checks)
  const same = before.since !== null && outcomeOf(before.findings) === outcomeOf(findings)
  const since = same && before.since ? before.since : now
  const settled = verdict.traffic === 'yes' && verdict.problem === null && (row.certificateMode === 'off' || (await hasCertificate(prisma, row)))
  const where = { id: row.id, state: row.state, teamId: row.teamId }
  const data = {
    state,
    checks: writeChecks(since, findings),
    problem: verdict.problem ? { ...verdict.problem } : Prisma.DbNull,
    checkedAt: now,
  }
  const nextCheckAt = new Date(now.getTime() + pauseMs({ settled, since, now }))
  const { count } = await prisma.domain.updateMany({ where: { ...where, nextCheckAt: row.nextCheckAt }, data: { ...data, nextCheckAt } })
  if (count === 1) return true
  // The domain was changed or an earlier check was requested during the examination: store the result but keep the new check time.
  return (await prisma.domain.updateMany({ where, data })).count === 1
}
