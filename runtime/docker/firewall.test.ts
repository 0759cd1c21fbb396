import { describe, expect, it } from 'vitest'
import { restoreText } from '@/shared/node/iptables'
import { parseReach, type Reach } from '@/shared/node/reach'
import { bridgeRules } from './firewall'

const reach = ['10.1.0.0/16', '192.168.0.9:5432'].map((text) => parseReach(text) as Reach)
const wanted = bridgeRules(4, { reach, servers: ['10.0.0.9'], own: new Set(['192.168.0.9']), engineChain: true })

/** What `iptables -S` lists after this text went through `iptables-restore --noflush` on an empty table. */
function listingOf(text: string, before: string[] = []): string[] {
  const lines = text.split('\n')
  const inserted = lines.filter((line) => line.startsWith('-I ')).map((line) => line.replace('-I', '-A'))
  return [...inserted.reverse(), ...before, ...lines.filter((line) => line.startsWith('-A '))]
}

describe('rules of our bridges', () => {
  it('open no private network but those that the operator named, and this machine at named ports alone', () => {
    const of = (chain: string) => wanted.rules.filter((rule) => rule.startsWith(chain))
    expect(of('SWITCHYARD-INPUT').at(-1)).toBe('SWITCHYARD-INPUT -j DROP')
    expect(
      of('SWITCHYARD-INPUT')
        .filter((rule) => rule.includes('--dport'))
        .map((rule) => rule.split(' ')[2]),
    ).toEqual(['192.168.0.9/32', '192.168.0.9/32'])
    const forward = of('SWITCHYARD-FORWARD')
    const at = (part: string) => forward.findIndex((rule) => rule.includes(part))
    expect(at('169.254.0.0/16 -j REJECT')).toBeLessThan(at('10.1.0.0/16 -j RETURN'))
    expect(at('10.1.0.0/16 -j RETURN')).toBeLessThan(at('10.0.0.0/8 -j REJECT'))
    expect(at('10.0.0.9 -p udp -m udp --dport 53')).toBeGreaterThan(0)
  })

  it('are written once, and again when somebody emptied them, changed them, or accepts before them', () => {
    const text = restoreText('filter', wanted, '-P INPUT ACCEPT') as string
    const made = listingOf(text)
    expect(restoreText('filter', wanted, made.join('\n'))).toBeNull()
    expect(restoreText('filter', wanted, made.slice(0, -1).join('\n'))).not.toBeNull()
    expect(restoreText('filter', wanted, ['-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT', ...made].join('\n'))).toContain('-D INPUT -i swy-+')
    expect(restoreText('filter', wanted, listingOf(text, ['-A INPUT -p icmp -j ACCEPT']).join('\n'))).toBeNull()
    expect(restoreText('filter', { ...wanted, rules: wanted.rules.slice(1) }, made.join('\n'))).not.toBeNull()
  })
})

it('reads addresses, networks and ports, and no link-local one', () => {
  expect(parseReach('10.0.0.0/8')).toEqual({ family: 4, network: '10.0.0.0/8', port: null })
  expect(parseReach('127.0.0.1:5432')).toEqual({ family: 4, network: '127.0.0.1/32', port: 5432 })
  expect(parseReach('[fd00::5]:5432')).toEqual({ family: 6, network: 'fd00::5/128', port: 5432 })
  expect(parseReach('fd00::/64')).toEqual({ family: 6, network: 'fd00::/64', port: null })
  for (const bad of ['169.254.169.254', '169.254.169.254:80', 'fe80::1', 'example.com', '10.0.0.0/33', '10.0.0.1:0', ''])
    expect(parseReach(bad)).toBeNull()
})
