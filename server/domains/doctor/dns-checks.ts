import type { DomainCheck } from '@/shared/domains'
import { claimName, claimRecord } from '../claims'
import { addressRecords, expectedRecords, recordOf } from '../records'
import { type Facts, valuesOf } from './facts'
import { dnsFailure, failureState, finding, listed } from './finding'
import { proxyAt } from './proxies'

/** Checks that the zone exists and its servers answer. */
export function checkZone({ zone, name, a, aaaa }: Facts): DomainCheck {
  const blocks = 'traffic'
  // With a split horizon, only the name itself may be visible.
  if (zone.kind === 'found' || a.kind === 'found' || aaaa.kind === 'found')
    return finding(
      'zone',
      'ok',
      zone.kind === 'found' ? `${name.registrable} is served by ${listed(zone.values.slice(0, 3))}.` : `${name.registrable} answers.`,
    )
  const failure = dnsFailure(zone, name.registrable)
  if (failure) return finding('zone', failureState(zone), failure.cause, { fix: failure.fix, blocks })
  return finding('zone', 'fail', `${name.registrable} does not exist in DNS (${zone.kind === 'no-name' ? 'NXDOMAIN' : 'it has no name servers'}).`, {
    fix: 'Check the spelling, that the registration has not run out, and that the registrar names your DNS host as its name servers.',
    blocks,
  })
}

/** Checks the TXT record that proves ownership against another team's claim: only the owner of the zone can set it. */
export function checkClaim({ rival, claimTxt, name, token }: Facts): DomainCheck {
  if (rival === 'none' || !claimTxt) return finding('claim', 'ok', 'No other team of this installation uses this domain.')
  if (valuesOf(claimTxt).some((value) => value.trim() === token)) return finding('claim', 'ok', 'Your team has proved that this name is its own.')
  const failure = dnsFailure(claimTxt, claimName(name))
  const set = [claimRecord(name, token)]
  if (failure) return finding('claim', failureState(claimTxt), failure.cause, { fix: failure.fix, set, blocks: 'traffic' })
  const wrong = valuesOf(claimTxt).length > 0 ? ' The TXT record that is there has another value.' : ''
  return finding('claim', 'fail', `Another team of this installation uses ${name.registrable}.${wrong}`, {
    fix: 'Set this TXT record to prove that the name is yours.',
    set,
    blocks: 'traffic',
  })
}

/** Addresses of this family that are neither this server's nor answered by it. */
export function strangers(facts: Facts, family: 'a' | 'aaaa'): string[] {
  const ours = new Set([
    ...facts.own.addresses,
    ...(facts.own.others ?? []),
    ...facts.http.filter((one) => one.kind === 'ours').map((one) => one.address),
  ])
  return valuesOf(facts[family]).filter((address) => !ours.has(address))
}

const viaProxyOnly = (facts: Facts): boolean => {
  const all = [...valuesOf(facts.a), ...valuesOf(facts.aaaa)]
  return all.length > 0 && all.every((address) => proxyAt(address) !== null)
}

function wanted(facts: Facts) {
  const { records } = expectedRecords({ name: facts.name, addresses: facts.own.addresses, projectHost: facts.projectHost })
  return records
}

/** Checks the A records and the alias that leads to them. */
export function checkAddress(facts: Facts): DomainCheck {
  const { a, aaaa, aliases, name, probed } = facts
  const blocks = 'traffic'
  const set = wanted(facts)
  const remove = strangers(facts, 'a').map((value) => recordOf('A', name.hostname, value, name.registrable))
  if (viaProxyOnly(facts)) return finding('address', 'ok', 'The records lead to a proxy; see below.')
  if (a.kind !== 'found' && aaaa.kind !== 'found') return noAddress(facts)
  if (a.kind !== 'found') {
    const failure = dnsFailure(a, probed)
    if (failure) return finding('address', failureState(a), failure.cause, { fix: failure.fix, blocks })
    const own4 = facts.own.addresses.some((address) => !address.includes(':'))
    return finding(
      'address',
      own4 ? 'warn' : 'ok',
      'There is an AAAA record but no A record: visitors without IPv6 do not reach it.',
      own4 ? { fix: 'Set the A record too.', set: addressRecords({ name, addresses: facts.own.addresses }) } : {},
    )
  }
  if (remove.length === 0) return goodAddress(facts, aliases)
  const foreign = remove.map((record) => record.value)
  if (aliases.length > 0)
    return finding('address', 'fail', `${name.hostname} is an alias of ${aliases.at(-1)}, which leads to ${listed(foreign)}, not to this server.`, {
      fix: 'Point it at this server instead.',
      set,
      remove: [recordOf('CNAME', name.hostname, aliases[0] ?? '', name.registrable)],
      blocks,
    })
  const some = foreign.length < valuesOf(a).length
  return finding(
    'address',
    'fail',
    some
      ? `Some visitors are sent to ${listed(foreign)}, which is not this server.`
      : `The A record leads to ${listed(foreign)}, which is not this server.`,
    {
      fix: some ? 'Remove the records that lead elsewhere.' : 'Replace it with this record.',
      set: some ? [] : set,
      remove,
      blocks,
    },
  )
}

function goodAddress(facts: Facts, aliases: string[]): DomainCheck {
  const values = valuesOf(facts.a)
  const unknown = values.filter((address) => !facts.own.addresses.includes(address) && !facts.own.others?.includes(address))
  const via = aliases.length > 0 ? `alias of ${aliases.at(-1)}, ` : ''
  if (unknown.length === 0) return finding('address', 'ok', `${via}${listed(values)}: this server.`.replace(/^a/, 'A'))
  return finding('address', 'ok', `${listed(unknown)} is not an address this machine has, but what is sent there arrives here.`)
}

function noAddress(facts: Facts): DomainCheck {
  const { a, aliases, name, probed } = facts
  const more = { set: wanted(facts), blocks: 'traffic' } as const
  const failure = dnsFailure(a, probed)
  if (failure) return finding('address', failureState(a), failure.cause, { ...more, fix: failure.fix })
  if (aliases.length > 0)
    return finding('address', 'fail', `${name.hostname} is an alias of ${aliases.at(-1)}, which has no address.`, {
      ...more,
      fix: aliases.includes(facts.projectHost)
        ? 'The record is right, but the base domain of this installation does not lead here yet: its operator must set its addresses. Meanwhile use A records.'
        : 'Point it at this server instead.',
      ...(aliases.includes(facts.projectHost) ? { set: addressRecords({ name, addresses: facts.own.addresses }) } : {}),
    })
  return finding('address', 'fail', `${name.hostname} has no A or AAAA record${a.kind === 'no-name' ? ' (NXDOMAIN)' : ''}.`, {
    ...more,
    fix: `Set ${more.set.length === 1 ? 'this record' : 'these records'} at your DNS host.`,
  })
}

/** Checks AAAA: a wrong AAAA breaks a correct A, because CAs and most browsers try IPv6 first. */
export function checkIpv6(facts: Facts): DomainCheck {
  const { aaaa, name, own, probed } = facts
  const own6 = own.addresses.filter((address) => address.includes(':'))
  const values = valuesOf(aaaa)
  if (values.length === 0) {
    const failure = dnsFailure(aaaa, probed)
    // If A exists but AAAA queries fail, a CA stops as well.
    if (failure && facts.a.kind === 'found') return finding('ipv6', failureState(aaaa), failure.cause, { fix: failure.fix, blocks: 'certificate' })
    return finding(
      'ipv6',
      'ok',
      own6.length > 0 ? 'No AAAA record: visitors come over IPv4. This server has IPv6 too.' : 'No AAAA record, and none is needed.',
    )
  }
  const foreign = strangers(facts, 'aaaa').filter((address) => !proxyAt(address))
  if (foreign.length === 0) return finding('ipv6', 'ok', `${listed(values)}: ${viaProxyOnly(facts) ? 'the proxy' : 'this server'}.`)
  const why = own6.length > 0 ? 'which is not this server' : 'but this server has no IPv6 address'
  return finding(
    'ipv6',
    'fail',
    `The AAAA record leads to ${listed(foreign)}, ${why}. Browsers and certificate authorities ask for IPv6 first, so a right A record does not help.`,
    {
      fix: own6.length > 0 ? 'Replace it, or remove it.' : 'Remove it.',
      remove: foreign.map((value) => recordOf('AAAA', name.hostname, value, name.registrable)),
      set: own6.map((value) => recordOf('AAAA', name.hostname, value, name.registrable)),
      blocks: 'traffic',
    },
  )
}
