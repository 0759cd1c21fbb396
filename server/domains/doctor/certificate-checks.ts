import type { CaaRecord } from 'node:dns'
import type { DomainCheck } from '@/shared/domains'
import { recordOf } from '../records'
import { type Facts, isProvedByDns } from './facts'
import { dnsFailure, failureState, finding, listed } from './finding'

type CaaProperty = { tag: string; value: string; critical: boolean }

/** Node returns a CAA property under its tag, next to `critical` and `type`. */
function propertyOf(record: CaaRecord): CaaProperty {
  const [tag = '', value = ''] = Object.entries(record).find(([key]) => key !== 'critical' && key !== 'type') ?? []
  return { tag: tag.toLowerCase(), value: String(value), critical: (record.critical & 128) !== 0 }
}

const knownTags = new Set(['issue', 'issuewild', 'issuemail', 'issuevmc', 'iodef', 'contactemail', 'contactphone'])

/** RFC 8659 §4.2: the issuer's domain, then parameters; an empty domain forbids every issuer. */
const issuerOf = (value: string): string => value.split(';')[0]?.trim().toLowerCase() ?? ''
/** RFC 8657 §4: methods by which this issuer may validate. */
function methodsOf(value: string): string[] | null {
  const found = /;\s*validationmethods\s*=\s*([^;]+)/i.exec(value)?.[1]
  return found ? found.split(',').map((method) => method.trim().toLowerCase()) : null
}

/** Checks that CAA allows the configured CA: the closest ancestor with CAA records applies (RFC 8659). */
export function checkCaa(facts: Facts): DomainCheck {
  const { caa, issuers, name } = facts
  const blocks = 'certificate'
  if (!caa) return finding('caa', 'ok', 'No certificate is ordered, so CAA records have no effect.')
  const { at, outcome } = caa
  if (outcome.kind !== 'found') {
    const failure = at === null ? null : dnsFailure(outcome, at)
    if (!failure) return finding('caa', 'ok', 'No CAA record: any certificate authority may issue.')
    return finding('caa', failureState(outcome), `${failure.cause} A certificate authority issues nothing when its CAA query fails.`, {
      fix: failure.fix,
      blocks,
    })
  }
  const properties = outcome.values.map(propertyOf)
  const unknown = properties.find((one) => one.critical && !knownTags.has(one.tag))
  const where = at ?? name.base
  if (unknown)
    return finding('caa', 'fail', `${where} has a critical CAA property "${unknown.tag}", which no authority may ignore.`, {
      fix: 'Remove it, or clear its critical flag.',
      blocks,
    })
  const wild = properties.filter((one) => one.tag === 'issuewild')
  const deciding = name.kind === 'wildcard' && wild.length > 0 ? wild : properties.filter((one) => one.tag === 'issue')
  if (deciding.length === 0) return finding('caa', 'ok', `The CAA records of ${where} do not restrict who may issue.`)
  const allowed = deciding.filter((one) => issuers.includes(issuerOf(one.value)))
  const named = deciding.map((one) => issuerOf(one.value) || 'nobody')
  if (issuers.length === 0)
    return finding(
      'caa',
      'warn',
      `${where} allows ${listed(named)} only. The certificate authority of this installation does not publish its name for CAA records.`,
    )
  const tag = name.kind === 'wildcard' && wild.length > 0 ? 'issuewild' : 'issue'
  if (allowed.length === 0)
    return finding('caa', 'fail', `The CAA records of ${where} allow ${listed(named)} only; certificates here come from ${listed(issuers)}.`, {
      fix: 'Add this CAA record.',
      set: [recordOf('CAA', where, `0 ${tag} "${issuers[0]}"`, name.registrable)],
      blocks,
    })
  return allowedMethods(allowed, isProvedByDns(facts), where)
}

function allowedMethods(allowed: CaaProperty[], byDns: boolean, where: string): DomainCheck {
  const ours = byDns ? ['dns-01'] : ['http-01', 'tls-alpn-01', 'dns-01']
  const usable = allowed.some((one) => methodsOf(one.value)?.some((method) => ours.includes(method)) ?? true)
  if (!usable)
    return finding('caa', 'fail', `The CAA record of ${where} allows other validation methods than ${listed(ours)} only (validationmethods).`, {
      fix: `Add ${ours[0]} to its validationmethods.`,
      blocks: 'certificate',
    })
  return finding('caa', 'ok', `The CAA records of ${where} allow ${listed(allowed.map((one) => issuerOf(one.value)))}.`)
}

/** A wildcard requires a DNS challenge (RFC 8555 §7.1.3: http-01 is not possible). */
export function checkMethod({ name, certificateMode, hasDnsProvider }: Facts): DomainCheck {
  if (certificateMode !== 'automatic')
    return finding('method', 'ok', certificateMode === 'off' ? 'HTTPS is off for this domain.' : 'You upload the certificate yourself.')
  if (hasDnsProvider) return finding('method', 'ok', 'The certificate is issued automatically, by a DNS record set through your DNS provider.')
  if (name.kind !== 'wildcard') return finding('method', 'ok', 'The certificate is issued automatically, over HTTP.')
  return finding('method', 'fail', 'A certificate for a wildcard is proved by a DNS record, and no DNS provider is chosen for this domain.', {
    fix: 'Choose a DNS provider below, or upload a certificate.',
    blocks: 'certificate',
  })
}
