import type { CheckId, DomainCheck } from '@/shared/domains'
import type { DnsOutcome } from './dns'

/** Creates a check result with defaults for the fields that are usually empty. */
export function finding(
  id: CheckId,
  state: DomainCheck['state'],
  cause: string,
  more: Partial<Pick<DomainCheck, 'fix' | 'set' | 'remove' | 'blocks'>> = {},
): DomainCheck {
  return { id, state, cause, fix: null, set: [], remove: [], blocks: null, ...more }
}

/** Cause and fix of a failed DNS query; null: DNS answered, possibly without records. */
export function dnsFailure(outcome: DnsOutcome<unknown>, name: string): { cause: string; fix: string } | null {
  switch (outcome.kind) {
    case 'servfail':
      return {
        cause: `The name servers of ${name} answer with an error (SERVFAIL).`,
        fix: 'Usually its DNSSEC signatures do not hold, or the registrar names servers that do not know the zone. Check both at your DNS host.',
      }
    case 'refused':
      return {
        cause: `The name servers refuse to answer for ${name}.`,
        fix: 'The zone is not set up at the servers the registrar names. Add it there, or correct the name servers.',
      }
    case 'timeout':
      return {
        cause: `No name server answered for ${name} in time.`,
        fix: 'Nothing to do if this passes; otherwise check that the name servers of the zone are up.',
      }
    case 'error':
      return {
        cause: `DNS could not be asked for ${name} (${outcome.code}).`,
        fix: 'Check the DNS servers this machine uses (DNS_SERVERS, or /etc/resolv.conf).',
      }
    default:
      return null
  }
}

/** fail: the failure is a fault of the domain. unknown: it may be temporary. */
export const failureState = (outcome: DnsOutcome<unknown>): 'fail' | 'unknown' =>
  outcome.kind === 'servfail' || outcome.kind === 'refused' ? 'fail' : 'unknown'

export const listed = (values: readonly string[]): string =>
  values.length <= 1 ? (values[0] ?? '') : `${values.slice(0, -1).join(', ')} and ${values.at(-1)}`
