import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { type Domain, Prisma, type PrismaClient } from '@/server/database/generated/client'
import { isAppError, type WireError } from '@/shared/errors'
import { writeEvent } from '../outbox/write-event'
import type { Secrets } from '../secrets/secrets'
import { type AcmeAccounts, newKeyPem } from './accounts'
import type { Answers } from './answers'
import type { Authorities, Authority } from './authorities'
import type { AuthorityGate } from './authority-gate'
import { type ChallengeMethod, runOrder } from './order'
import { pairId, readFacts, renewalId } from './pem'
import { AcmeProblem, AuthoritySilent, ChallengeError, type Fault, faultOf, toCertificateProblem } from './problems'
import { beganAt, beginTry, type Claimed, endTry, failedAttempts, nameOf, noOrder, released, successes, write } from './record'
import { readRenewalInfo } from './renewal-info'
import { allowedAt, backoff, failedAttemptsPerHour, failureWindowMs, firstAllowedAt, firstsWindowMs, outagePause, renewAt } from './schedule'

export interface AttemptDeps {
  pool: Pool
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  authorities: Authorities
  accounts: AcmeAccounts
  gate: AuthorityGate
  answers: Answers
  /** Why the CA must not be asked about the domain; null: it may be asked. */
  precheck: (domain: Domain) => Promise<WireError | null>
  /** Called after each change of a certificate. `supplied`: the routers need the new one. */
  changed: (row: Claimed, supplied: boolean) => Promise<void>
  now: () => number
  random: () => number
  logger: Logger
  /** Shortest pause after a failure; tests with lifetimes of seconds shorten it. */
  floorMs?: number | undefined
}

/** Step of problems found before the CA was asked; `domainReady` selects rows by it. */
export const precheckStep = 'domain check'
/** Failures in a row for which the pause after a failed precheck is computed. */
const precheckBackoff = 2
const obstaclePauseMs = 5_000
/** Maximum age of an order. A new order costs one attempt, and by then the hourly limit allows another. */
const longestOrderMs = failureWindowMs
/** Longest pause after a CA's outage: its Retry-After (RFC 9110 §10.2.3) is followed up to this limit. */
const maxOutagePauseMs = 3_600_000

/** Result of one order at one CA. */
type Outcome = { chainPem: string; keyPem: string } | { error: unknown; fault: Fault }

/**
 * Processes a claimed certificate as far as possible now: issued, failed with a recorded reason, or postponed. Always releases the claim.
 */
export async function attempt(deps: AttemptDeps, row: Claimed, signal: AbortSignal): Promise<void> {
  const obstacle = deps.answers.obstacle(methodFor(row))
  if (obstacle) return putOff(deps, row, deps.now() + obstaclePauseMs, obstacle)
  const refused = row.orderUrl ? null : await precheckOf(deps, row.domain)
  if (refused) return refuse(deps, row, { ...refused, step: precheckStep })
  const { staging, production } = deps.authorities
  if (staging && !row.chainPem && !row.rehearsedAt && !row.orderTryId && (await deps.gate.open(staging.directory, signal))) {
    const done = await rehearse(deps, row, staging, signal)
    if (!done) return
  } else if (staging && row.orderDirectory === staging.directory) await dropOrder(deps, row, null)
  const open = await openAuthorities(deps, row, production, signal)
  if (open.length === 0) return putOff(deps, row, deps.now() + 1_000)
  const { candidates, nextAt } = await withinBounds(deps, row, open)
  if (candidates.length === 0) return wait(deps, row, nextAt, tooManyFirsts(row))
  let last: Outcome | null = null
  for (const authority of candidates) {
    last = await ask(deps, row, authority, signal)
    if (!last) return
    if ('chainPem' in last) return succeed(deps, row, last)
    // A fault of the domain would fail at every CA.
    if (last.fault === 'domain' || last.fault === 'order') break
  }
  if (last && 'error' in last) await settleFailure(deps, row, last)
}

async function precheckOf(deps: AttemptDeps, domain: Domain): Promise<WireError | null> {
  const claimed = (domain.problem as WireError | null) ?? null
  if (domain.state === 'unverified')
    return (
      claimed ?? {
        code: 'ERR_INVALID_INPUT',
        message: 'The domain is not verified yet.',
        step: 'domain check',
        nextAction: 'Set the DNS records shown for it.',
      }
    )
  return deps.precheck(domain)
}

/** Available CAs; the CA of the order in progress comes first. */
async function openAuthorities(deps: AttemptDeps, row: Claimed, production: Authority[], signal: AbortSignal): Promise<Authority[]> {
  const open: Authority[] = []
  for (const authority of production) if (await deps.gate.open(authority.directory, signal)) open.push(authority)
  const begun = open.findIndex((one) => one.directory === row.orderDirectory)
  if (begun > 0) open.unshift(...open.splice(begun, 1))
  return open
}

/** CAs below the limit on first certificates of a name, and the time from which the next CA may be asked. */
async function withinBounds(deps: AttemptDeps, row: Claimed, open: Authority[]): Promise<{ candidates: Authority[]; nextAt: number }> {
  let nextAt = Number.POSITIVE_INFINITY
  if (row.chainPem || row.orderUrl) return { candidates: open, nextAt }
  const candidates: Authority[] = []
  for (const authority of open) {
    const since = deps.now() - firstsWindowMs
    const at = firstAllowedAt(await successes(deps.prisma, { name: nameOf(row), directory: authority.directory, since }), deps.now())
    if (at === null) candidates.push(authority)
    else nextAt = Math.min(nextAt, at)
  }
  return { candidates, nextAt }
}

const tooManyFirsts = (row: Claimed): WireError => ({
  code: 'ERR_RATE_LIMITED',
  message: `${nameOf(row)} got several certificates within a week already; certificate authorities allow few of one name.`,
  step: 'order',
  nextAction: 'Wait, or upload a certificate of your own.',
})

const tooManyInVain = (row: Claimed): WireError => ({
  code: 'ERR_RATE_LIMITED',
  message: `${nameOf(row)} was asked for ${failedAttemptsPerHour} times within an hour in vain; certificate authorities allow no more.`,
  step: 'order',
  nextAction: 'Correct what the latest attempts say. It is asked for again by itself.',
})

/** The dry run: the same order at the staging CA. False: it failed, and the failure is recorded. */
async function rehearse(deps: AttemptDeps, row: Claimed, staging: Authority, signal: AbortSignal): Promise<boolean> {
  const outcome = await ask(deps, row, staging, signal)
  if (!outcome) return false
  if ('error' in outcome && outcome.fault !== 'network' && outcome.fault !== 'authority') {
    await settleFailure(deps, row, outcome)
    return false
  }
  // Problems of the staging CA itself say nothing about the domain: continue with production.
  await dropOrder(deps, row, null)
  if ('chainPem' in outcome) await update(deps, row, { rehearsedAt: new Date(deps.now()) })
  return true
}

/** Writes changes to the database and to `row`, which later steps of the attempt use. */
async function update(deps: AttemptDeps, row: Claimed, data: Partial<Claimed>): Promise<void> {
  await write(deps.prisma, row, data as Parameters<typeof write>[2])
  Object.assign(row, data)
}

async function dropOrder(deps: AttemptDeps, row: Claimed, problem: WireError | null): Promise<void> {
  if (row.orderTryId) await endTry(deps.prisma, row.orderTryId, { succeeded: false, ...(problem ? { problem } : {}) }, deps.now())
  await update(deps, row, noOrder)
}

/**
 * Orders from one CA: continues its order, or creates one if the limit on the name allows it. null: not allowed, and the reason is
 * recorded.
 */
async function ask(deps: AttemptDeps, row: Claimed, authority: Authority, signal: AbortSignal, again = false): Promise<Outcome | null> {
  if (row.orderTryId && row.orderDirectory !== authority.directory) await dropOrder(deps, row, null)
  // Drop old orders: a CA whose servers fail for this order would otherwise be polled every few seconds until the order expires, days
  // later.
  if (row.orderTryId && (!row.orderUrl || (await beganAt(deps.prisma, row.orderTryId)) < deps.now() - longestOrderMs))
    await dropOrder(deps, row, null)
  if (!row.orderTryId) {
    const at = allowedAt(await failedAttempts(deps.prisma, nameOf(row), deps.now()), deps.now())
    if (at !== null) {
      await wait(deps, row, at, tooManyInVain(row))
      return null
    }
  }
  const resumed = row.orderUrl !== null
  const outcome = await tryOrder(deps, row, authority, signal)
  if ('chainPem' in outcome) {
    if (row.orderTryId) await endTry(deps.prisma, row.orderTryId, { succeeded: true }, deps.now())
    return outcome
  }
  if (outcome.fault === 'network') deps.gate.failed(authority.directory)
  if (outcome.fault === 'account') await deps.accounts.forget(authority)
  // The CA no longer knows the order or our account: start again at once.
  if (!again && (outcome.fault === 'account' || (resumed && outcome.fault === 'order'))) {
    await recordOutcome(deps, row, outcome)
    return ask(deps, row, authority, signal, true)
  }
  await recordOutcome(deps, row, outcome)
  return outcome
}

/** Records the end of the attempt, unless its order can be continued. */
async function recordOutcome(deps: AttemptDeps, row: Claimed, outcome: { error: unknown; fault: Fault }): Promise<void> {
  if (outcome.fault === 'network' && row.orderUrl) return
  if (!row.orderTryId) return
  // An unknown account is refused before the CA checks the name, so nothing counts against the name.
  const unasked = outcome.fault === 'account' || (outcome.error instanceof AuthoritySilent && !outcome.error.sent && !row.orderUrl)
  const problem = problemOf(row, outcome.error)
  await endTry(deps.prisma, row.orderTryId, { succeeded: unasked ? null : false, problem }, deps.now())
  await update(deps, row, noOrder)
}

async function tryOrder(deps: AttemptDeps, row: Claimed, authority: Authority, signal: AbortSignal): Promise<Outcome> {
  try {
    const client = await deps.accounts.clientFor(authority)
    const keyPem = await orderKey(deps, row, authority)
    const method = methodFor(row)
    const chainPem = await runOrder({
      client,
      names: row.names,
      method,
      orderUrl: row.orderUrl,
      replaces: readRenewalInfo(row.renewalInfo) && row.chainPem && row.directory === authority.directory ? renewalId(row.chainPem) : null,
      keyPem,
      signal,
      onOrder: (orderUrl) => update(deps, row, { orderUrl }),
      offer: (answer, stop) => deps.answers.offer(row.domain, answer, stop),
      takeBack: (answer) => deps.answers.takeBack(row.domain, answer),
    })
    return { chainPem, keyPem }
  } catch (error) {
    signal.throwIfAborted()
    // An internal error, such as an unavailable database, is no fault of the CA or the domain. It must not mark the CA as unavailable for
    // all domains.
    if (!(error instanceof AuthoritySilent || error instanceof AcmeProblem || error instanceof ChallengeError || isAppError(error))) throw error
    return { error, fault: faultOf(error) }
  }
}

/** The key of the order in progress, or a new key recorded with a new attempt. */
async function orderKey(deps: AttemptDeps, row: Claimed, authority: Authority): Promise<string> {
  if (row.orderTryId && row.orderKeyCiphertext) return deps.secrets.open(row.teamId, row.orderKeyCiphertext)
  const keyPem = newKeyPem()
  const keyCiphertext = await deps.secrets.seal(row.teamId, keyPem)
  const orderTryId = await beginTry(deps.prisma, row, { directory: authority.directory, keyCiphertext }, deps.now())
  Object.assign(row, { orderTryId, orderDirectory: authority.directory, orderKeyCiphertext: keyCiphertext, orderUrl: null })
  return keyPem
}

/** Wildcards require dns-01 (RFC 8555 §7.1.3). Otherwise alternate between http-01 and tls-alpn-01 after each failure. */
function methodFor(row: Claimed): ChallengeMethod {
  if (row.domain.dnsProviderId || nameOf(row).startsWith('*.')) return 'dns-01'
  return row.attempts % 2 === 0 ? 'http-01' : 'tls-alpn-01'
}

const servedUntil = (row: Claimed, now: number): string | null =>
  row.chainPem && row.notAfter && row.notAfter.getTime() > now
    ? `The certificate in use is valid until ${row.notAfter.toISOString().slice(0, 16).replace('T', ' ')} UTC.`
    : null

function withServing(row: Claimed, now: number, problem: WireError): WireError {
  const stillServing = servedUntil(row, now)
  return stillServing ? { ...problem, stillServing } : problem
}

function problemOf(row: Claimed, error: unknown): WireError {
  const step = error instanceof ChallengeError ? 'challenge' : error instanceof AcmeProblem && error.validation ? 'validation' : 'order'
  return toCertificateProblem(error, { step, stillServing: servedUntil(row, Date.now()) })
}

async function succeed(deps: AttemptDeps, row: Claimed, issued: { chainPem: string; keyPem: string }): Promise<void> {
  const { chainPem, keyPem } = issued
  const facts = readFacts(chainPem)
  const life = { notBefore: facts.notBefore, notAfter: facts.notAfter }
  const notAfter = new Date(facts.notAfter)
  const data = {
    ...released,
    ...noOrder,
    state: 'active' as const,
    chainPem,
    keyCiphertext: await deps.secrets.seal(row.teamId, keyPem),
    directory: row.orderDirectory,
    issuer: facts.issuer,
    serial: facts.serial,
    notBefore: new Date(facts.notBefore),
    notAfter,
    problem: Prisma.DbNull,
    renewalInfo: Prisma.DbNull,
    attempts: 0,
    nextAttemptAt: new Date(renewAt(life, null, deps.random(), deps.now())),
  }
  const kind = row.chainPem ? 'certificate.renewed' : 'certificate.issued'
  await deps.prisma.$transaction(async (tx) => {
    await write(tx, row, data)
    await writeEvent(tx, { ...ownerOf(row), kind, payload: { ...subjectOf(row), notAfter: notAfter.toISOString() } })
  })
  deps.logger.info({ certificate: pairId(row.id, facts.serial), names: row.names, notAfter }, 'certificate issued')
  await deps.changed(row, true)
}

const ownerOf = ({ teamId, domain }: Claimed) => ({ teamId, projectId: domain.projectId })
const subjectOf = ({ id, domainId, domain }: Claimed) => ({ certificateId: id, domainId, hostname: domain.hostname })

/** Records the failed state, and an event unless the last attempt failed for the same reason: attempts repeat for weeks. */
async function writeFailure(deps: AttemptDeps, row: Claimed, problem: WireError, data: { attempts?: number; nextAttemptAt: Date }): Promise<void> {
  const before = row.problem as WireError | null
  const isKnown = before?.code === problem.code && before.step === problem.step
  const { code, step = null } = problem
  await deps.prisma.$transaction(async (tx) => {
    await write(tx, row, { ...released, ...data, state: 'failed', problem: { ...problem } })
    if (!isKnown) await writeEvent(tx, { ...ownerOf(row), kind: 'certificate.failed', payload: { ...subjectOf(row), code, step } })
  })
}

/** Records the failure after the last available CA. */
async function settleFailure(deps: AttemptDeps, row: Claimed, outcome: { error: unknown; fault: Fault }): Promise<void> {
  const problem = problemOf(row, outcome.error)
  const retryAfterMs = outcome.error instanceof AcmeProblem ? (outcome.error.retryAfterMs ?? 0) : 0
  // An outage of the CA does not count as a failure of the certificate: the circuit breaker detects its end. The pause still grows, because
  // a CA may drop connections for this name only.
  if (outcome.fault === 'network') {
    const asks = await failedAttempts(deps.prisma, nameOf(row), deps.now())
    const now = deps.now()
    const pause = outagePause(asks.length, (row.notAfter?.getTime() ?? 0) - now)
    return putOff(deps, row, now + Math.max(pause, Math.min(retryAfterMs, maxOutagePauseMs)), problem)
  }
  return fail(deps, row, problem, retryAfterMs)
}

async function fail(deps: AttemptDeps, row: Claimed, problem: WireError, atLeastMs = 0): Promise<void> {
  const now = deps.now()
  const attempts = row.attempts + 1
  const notAfter = row.notAfter?.getTime() ?? null
  const pause = Math.max(backoff(attempts, { now, notAfter, random: deps.random(), floorMs: deps.floorMs ?? 10_000 }), atLeastMs)
  const retryAfterSeconds = Math.ceil(pause / 1000)
  await writeFailure(deps, row, withServing(row, now, { ...problem, retryAfterSeconds }), { attempts, nextAttemptAt: new Date(now + pause) })
  deps.logger.warn({ certificate: row.id, names: row.names, problem, attempts, retryAfterSeconds }, 'no certificate')
  await deps.changed(row, false)
}

/** The domain's checks failed; the CA was not asked. Retried when the checks pass (`domainReady`), and after a pause in any case. */
async function refuse(deps: AttemptDeps, row: Claimed, problem: WireError): Promise<void> {
  const now = deps.now()
  const notAfter = row.notAfter?.getTime() ?? null
  const pause = backoff(precheckBackoff, { now, notAfter, random: deps.random(), ...(deps.floorMs ? { floorMs: deps.floorMs } : {}) })
  await writeFailure(deps, row, withServing(row, now, problem), { nextAttemptAt: new Date(now + pause) })
  await deps.changed(row, false)
}

/** A rate limit postpones the order: the certificate shows the reason and the time of the next attempt. */
async function wait(deps: AttemptDeps, row: Claimed, until: number, problem: WireError): Promise<void> {
  const now = deps.now()
  const withPause = { ...problem, retryAfterSeconds: Math.ceil((until - now) / 1000) }
  await writeFailure(deps, row, withServing(row, now, withPause), { nextAttemptAt: new Date(until) })
  await deps.changed(row, false)
}

/** Postpones without recording a failure: the state stays the same. */
async function putOff(deps: AttemptDeps, row: Claimed, until: number, problem?: WireError): Promise<void> {
  await write(deps.prisma, row, { ...released, nextAttemptAt: new Date(until), ...(problem ? { problem: { ...problem } } : {}) })
  if (problem) await deps.changed(row, false)
}
