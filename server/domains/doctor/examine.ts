import { checkIds, checkTitles, type DomainCheck } from '@/shared/domains'
import type { WireError } from '@/shared/errors'
import { checkCaa, checkMethod } from './certificate-checks'
import { checkAddress, checkClaim, checkIpv6, checkZone } from './dns-checks'
import type { Facts } from './facts'
import { checkHttp, checkHttps, checkProxy } from './reach-checks'

/** Runs all checks, ordered by relevance for the reader. Pure. */
export function examine(facts: Facts, ports: { http: number; https: number | null }): DomainCheck[] {
  const checks = [
    checkZone(facts),
    checkClaim(facts),
    checkAddress(facts),
    checkIpv6(facts),
    checkProxy(facts),
    checkHttp(facts, ports.http),
    checkHttps(facts, ports.https),
    checkCaa(facts),
    checkMethod(facts),
  ]
  return checks.sort((x, y) => checkIds.indexOf(x.id) - checkIds.indexOf(y.id))
}

export interface Verdict {
  /** yes: visitors of this name reach this server, and the name belongs to this team. unknown: the checks had no result. */
  traffic: 'yes' | 'no' | 'unknown'
  /** All checks that a CA depends on passed. */
  certificate: boolean
  /** The first problem to fix. */
  problem: WireError | null
}

const blocking = (checks: readonly DomainCheck[], what: 'traffic' | 'certificate', state: 'fail' | 'unknown') =>
  checks.find((check) => check.blocks === what && check.state === state)

/** Derives the verdict from the checks. Pure. */
export function judge(checks: readonly DomainCheck[]): Verdict {
  const failed = blocking(checks, 'traffic', 'fail')
  const open = blocking(checks, 'traffic', 'unknown')
  const traffic = failed ? 'no' : open ? 'unknown' : 'yes'
  const held = blocking(checks, 'certificate', 'fail') ?? blocking(checks, 'certificate', 'unknown')
  const first = failed ?? open ?? held
  return { traffic, certificate: traffic === 'yes' && !held, problem: first ? problemOf(first) : null }
}

function problemOf(check: DomainCheck): WireError {
  const record = check.set[0]
  const exact = record ? ` ${record.type} ${record.name} → ${record.value}` : ''
  return {
    code: 'ERR_DOMAIN',
    message: check.cause,
    step: checkTitles[check.id],
    ...(check.fix ? { nextAction: exact ? `${check.fix.replace(/\.$/, ':')}${exact}` : check.fix } : {}),
  }
}
