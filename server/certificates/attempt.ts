import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { type Domain, Prisma, type PrismaClient } from '@/server/database/generated/client'
import { isAppError, type WireError } from '@/shared/errors'
import type { Secrets } from '../secrets/secrets'
import { type AcmeAccounts, newKeyPem } from './accounts'
import type { Answers } from './answers'
import type { Authorities, Authority } from './authorities'
import type { AuthorityGate } from './authority-gate'
import { type ChallengeMethod, runOrder } from './order'
import { pairId, readFacts, renewalId } from './pem'
import { AcmeProblem, AuthoritySilent, ChallengeError, type Fault, faultOf, toCertificateProblem } from './problems'
import { beganAt, beginTry, type Claimed, endTry, nameOf, noOrder, released, successes, vainAsks, write } from './record'
import { readRenewalInfo } from './renewal-info'
import { allowedAt, backoff, firstAllowedAt, firstsWindowMs, outagePause, renewAt, vainAsksPerHour, vainWindowMs } from './schedule'

export interface AttemptDeps {
  pool: Pool
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  authorities: Authorities
  accounts: AcmeAccounts
  gate: AuthorityGate
  answers: Answers
  /** What keeps the CA from being asked about the domain; null: nothing does. */
  precheck: (domain: Domain) => Promise<WireError | null>
  /** Told after each change of a certificate. `supplied`: the routers need the new one. */
  changed: (row: Claimed, supplied: boolean) => Promise<void>
  now: () => number
  random: () => number
  logger: Logger
  /** Shortest pause after a failure; tests with lifetimes of seconds shorten it. */
  floorMs?: number | undefined
}

/** Of problems with which the CA was not asked; `domainReady` looks for it. */
export const precheckStep = 'domain check'
/** As after so many failures. */
const precheckBackoff = 2
const obstaclePauseMs = 5_000
/** An order that is older leads nowhere: beginning anew costs one ask, which the hour has paid for. */
const longestOrderMs = vainWindowMs
/** A CA that is away says when it means to be back (RFC 9110 §10.2.3); it is looked for at least this often. */
const maxOutagePauseMs = 3_600_000

/** How one ask of one CA ended. */
type Outcome = { chainPem: string; keyPem: string } | { error: unknown; fault: Fault }

/** One claimed certificate, as far as it gets now: issued, failed with the reason on record, or put off. Releases the claim in each case. */
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
    // What is the domain's own fault would be so at every CA.
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

/** The CA of the order under way first; only those that answer. */
async function openAuthorities(deps: AttemptDeps, row: Claimed, production: Authority[], signal: AbortSignal): Promise<Authority[]> {
  const open: Authority[] = []
  for (const authority of production) if (await deps.gate.open(authority.directory, signal)) open.push(authority)
  const begun = open.findIndex((one) => one.directory === row.orderDirectory)
  if (begun > 0) open.unshift(...open.splice(begun, 1))
  return open
}

/** Those that have not issued too many first certificates of the name lately, and when the next one may be asked. */
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
  message: `${nameOf(row)} was asked for ${vainAsksPerHour} times within an hour in vain; certificate authorities allow no more.`,
  step: 'order',
  nextAction: 'Correct what the latest attempts say. It is asked for again by itself.',
})

/** The dry run: the same order at the staging CA. False: it failed, which is on record. */
async function rehearse(deps: AttemptDeps, row: Claimed, staging: Authority, signal: AbortSignal): Promise<boolean> {
  const outcome = await ask(deps, row, staging, signal)
  if (!outcome) return false
  if ('error' in outcome && outcome.fault !== 'network' && outcome.fault !== 'authority') {
    await settleFailure(deps, row, outcome)
    return false
  }
  // A staging CA that has problems of its own says nothing about the domain: production is asked without it.
  await dropOrder(deps, row, null)
  if ('chainPem' in outcome) await update(deps, row, { rehearsedAt: new Date(deps.now()) })
  return true
}

/** Keeps `row` as it is on record, for what follows in the same attempt. */
async function update(deps: AttemptDeps, row: Claimed, data: Partial<Claimed>): Promise<void> {
  await write(deps.prisma, row, data as Parameters<typeof write>[2])
  Object.assign(row, data)
}

async function dropOrder(deps: AttemptDeps, row: Claimed, problem: WireError | null): Promise<void> {
  if (row.orderTryId) await endTry(deps.prisma, row.orderTryId, { succeeded: false, ...(problem ? { problem } : {}) }, deps.now())
  await update(deps, row, noOrder)
}

/** Asks one CA: goes on with its order, or begins one if the name may be asked for. null: it may not, which is on record. */
async function ask(deps: AttemptDeps, row: Claimed, authority: Authority, signal: AbortSignal, again = false): Promise<Outcome | null> {
  if (row.orderTryId && row.orderDirectory !== authority.directory) await dropOrder(deps, row, null)
  // A CA whose servers fail over this one order would be asked about it every few seconds until it runs out, days later.
  if (row.orderTryId && (!row.orderUrl || (await beganAt(deps.prisma, row.orderTryId)) < deps.now() - longestOrderMs))
    await dropOrder(deps, row, null)
  if (!row.orderTryId) {
    const at = allowedAt(await vainAsks(deps.prisma, nameOf(row), deps.now()), deps.now())
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
  // What the CA has lost meanwhile is begun anew, at once: an order, or our account.
  if (!again && (outcome.fault === 'account' || (resumed && outcome.fault === 'order'))) {
    await recordOutcome(deps, row, outcome)
    return ask(deps, row, authority, signal, true)
  }
  await recordOutcome(deps, row, outcome)
  return outcome
}

/** Ends the try, unless its order can be gone on with. */
async function recordOutcome(deps: AttemptDeps, row: Claimed, outcome: { error: unknown; fault: Fault }): Promise<void> {
  if (outcome.fault === 'network' && row.orderUrl) return
  if (!row.orderTryId) return
  // An account that is not known is refused before the CA looks at the name.
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
    // Neither a CA's nor the domain's: a database that is away, a mistake of ours. It must not make a CA seem dark to everybody.
    if (!(error instanceof AuthoritySilent || error instanceof AcmeProblem || error instanceof ChallengeError || isAppError(error))) throw error
    return { error, fault: faultOf(error) }
  }
}

/** The key of the order under way, or a new one on record with a new try. */
async function orderKey(deps: AttemptDeps, row: Claimed, authority: Authority): Promise<string> {
  if (row.orderTryId && row.orderKeyCiphertext) return deps.secrets.open(row.teamId, row.orderKeyCiphertext)
  const keyPem = newKeyPem()
  const keyCiphertext = await deps.secrets.seal(row.teamId, keyPem)
  const orderTryId = await beginTry(deps.prisma, row, { directory: authority.directory, keyCiphertext }, deps.now())
  Object.assign(row, { orderTryId, orderDirectory: authority.directory, orderKeyCiphertext: keyCiphertext, orderUrl: null })
  return keyPem
}

/** Wildcards can be proved by DNS alone (RFC 8555 §7.1.3); of the other two, the one that did not fail last. */
function methodFor(row: Claimed): ChallengeMethod {
  if (row.domain.dnsProviderId || nameOf(row).startsWith('*.')) return 'dns-01'
  return row.attempts % 2 === 0 ? 'http-01' : 'tls-alpn-01'
}

const servedUntil = (row: Claimed, now: number): string | null =>
  row.chainPem && row.notAfter && row.notAfter.getTime() > now
    ? `The certificate in use is valid until ${row.notAfter.toISOString().slice(0, 16).replace('T', ' ')} UTC.`
    : null

function problemOf(row: Claimed, error: unknown): WireError {
  const step = error instanceof ChallengeError ? 'challenge' : error instanceof AcmeProblem && error.validation ? 'validation' : 'order'
  return toCertificateProblem(error, { step, stillServing: servedUntil(row, Date.now()) })
}

async function succeed(deps: AttemptDeps, row: Claimed, issued: { chainPem: string; keyPem: string }): Promise<void> {
  const { chainPem, keyPem } = issued
  const facts = readFacts(chainPem)
  const life = { notBefore: facts.notBefore, notAfter: facts.notAfter }
  await write(deps.prisma, row, {
    ...released,
    ...noOrder,
    state: 'active',
    chainPem,
    keyCiphertext: await deps.secrets.seal(row.teamId, keyPem),
    directory: row.orderDirectory,
    issuer: facts.issuer,
    serial: facts.serial,
    notBefore: new Date(facts.notBefore),
    notAfter: new Date(facts.notAfter),
    problem: Prisma.DbNull,
    renewalInfo: Prisma.DbNull,
    attempts: 0,
    nextAttemptAt: new Date(renewAt(life, null, deps.random(), deps.now())),
  })
  deps.logger.info({ certificate: pairId(row.id, facts.serial), names: row.names, notAfter: new Date(facts.notAfter) }, 'certificate issued')
  await deps.changed(row, true)
}

/** After the last CA that could be asked. */
async function settleFailure(deps: AttemptDeps, row: Claimed, outcome: { error: unknown; fault: Fault }): Promise<void> {
  const problem = problemOf(row, outcome.error)
  const retryAfterMs = outcome.error instanceof AcmeProblem ? (outcome.error.retryAfterMs ?? 0) : 0
  // The CA's outage is not the certificate's failure: the gate says when it is over. One that hangs up on this very name is another matter.
  if (outcome.fault === 'network') {
    const asks = await vainAsks(deps.prisma, nameOf(row), deps.now())
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
  await write(deps.prisma, row, {
    ...released,
    state: 'failed',
    problem: { ...problem, ...(servedUntil(row, now) ? { stillServing: servedUntil(row, now) } : {}), retryAfterSeconds },
    attempts,
    nextAttemptAt: new Date(now + pause),
  })
  deps.logger.warn({ certificate: row.id, names: row.names, problem, attempts, retryAfterSeconds }, 'no certificate')
  await deps.changed(row, false)
}

/** The domain is not ready, which costs nothing: it is told when it is (`domainReady`), and looked at again in any case. */
async function refuse(deps: AttemptDeps, row: Claimed, problem: WireError): Promise<void> {
  const now = deps.now()
  const notAfter = row.notAfter?.getTime() ?? null
  const pause = backoff(precheckBackoff, { now, notAfter, random: deps.random(), ...(deps.floorMs ? { floorMs: deps.floorMs } : {}) })
  const stillServing = servedUntil(row, now)
  await write(deps.prisma, row, {
    ...released,
    state: 'failed',
    problem: { ...problem, ...(stillServing ? { stillServing } : {}) },
    nextAttemptAt: new Date(now + pause),
  })
  await deps.changed(row, false)
}

/** A bound says so. It looks as it is: nothing is under way, and why. */
async function wait(deps: AttemptDeps, row: Claimed, until: number, problem: WireError): Promise<void> {
  const now = deps.now()
  const stillServing = servedUntil(row, now)
  await write(deps.prisma, row, {
    ...released,
    state: 'failed',
    problem: { ...problem, ...(stillServing ? { stillServing } : {}), retryAfterSeconds: Math.ceil((until - now) / 1000) },
    nextAttemptAt: new Date(until),
  })
  await deps.changed(row, false)
}

/** Not a failure: it stays what it is, and is looked at again. */
async function putOff(deps: AttemptDeps, row: Claimed, until: number, problem?: WireError): Promise<void> {
  await write(deps.prisma, row, { ...released, nextAttemptAt: new Date(until), ...(problem ? { problem: { ...problem } } : {}) })
  if (problem) await deps.changed(row, false)
}
