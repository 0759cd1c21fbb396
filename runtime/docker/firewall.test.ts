import { describe, expect, it } from 'vitest'
import { chainRules, firewallRepairs } from './firewall'

const jump = '-A INPUT -i swy-+ -j SWITCHYARD-INPUT'
const metadata = '-A DOCKER-USER -d 169.254.0.0/16 -i swy-+ -j DROP'
const listing = (lines: string[]) => lines.join('\n')

describe('firewallRepairs', () => {
  it('finds nothing to do where all is in place', () => {
    const lines = [
      '-P INPUT ACCEPT',
      '-N DOCKER-USER',
      '-N SWITCHYARD-INPUT',
      jump,
      metadata,
      '-A DOCKER-USER -j RETURN',
      ...chainRules(['10.0.0.9']),
    ]
    expect(firewallRepairs(listing(lines), ['10.0.0.9'])).toEqual({ chain: false, jump: false, metadata: false })
  })

  it('wants everything on a fresh machine, and leaves chains alone that an engine has not made', () => {
    expect(firewallRepairs('-P INPUT ACCEPT\n-P FORWARD DROP', [])).toEqual({ chain: true, jump: true, metadata: false })
  })

  it('does not trust a jump that comes behind an accepting rule', () => {
    const lines = ['-N SWITCHYARD-INPUT', '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT', jump, ...chainRules([])]
    expect(firewallRepairs(listing(lines), [])).toMatchObject({ chain: false, jump: true })
  })

  it('sees a chain that somebody emptied or changed', () => {
    expect(firewallRepairs(listing(['-N SWITCHYARD-INPUT', jump]), []).chain).toBe(true)
    expect(firewallRepairs(listing(['-N SWITCHYARD-INPUT', jump, '-A SWITCHYARD-INPUT -j ACCEPT', ...chainRules([])]), []).chain).toBe(true)
  })
})
