import { expect, test } from 'vitest'
import { assignNames, type Pair, type Served } from './supply'

const now = Date.parse('2026-11-21T00:00:00Z')
const day = 86_400_000
const pair = (id: string, names: string[], more: Partial<Pair> = {}): Pair => ({
  id,
  teamId: 't1',
  source: 'acme',
  names,
  serial: '01',
  notAfter: new Date(now + day),
  ...more,
})
const uploaded = (id: string, names: string[], more: Partial<Pair> = {}) => pair(id, names, { source: 'uploaded', ...more })
const domain = (hostname: string, certificateMode: string, teamId = 't1'): Served => ({ hostname, certificateMode, teamId })
const namesOf = (pairs: Pair[], domains: Served[]) => Object.fromEntries(assignNames(pairs, domains, now).map((one) => [one.id, one.names]))
const expired = { notAfter: new Date(now - 1) }

test('an automatic certificate is for its own name', () => {
  expect(namesOf([pair('a', ['*.example.com'])], [])).toEqual({ 'a.01': ['*.example.com'] })
})

test('an uploaded one goes before the automatic one where it is wanted, and only there', () => {
  const pairs = [pair('a', ['a.com']), pair('b', ['b.com']), uploaded('u', ['a.com', 'b.com'])]
  expect(namesOf(pairs, [domain('a.com', 'uploaded'), domain('b.com', 'automatic')])).toEqual({ 'b.01': ['b.com'], 'u.01': ['a.com'] })
})

test('what is valid goes before what is wanted', () => {
  const domains = [domain('a.com', 'uploaded')]
  expect(namesOf([pair('a', ['a.com']), uploaded('u', ['a.com'], expired)], domains)).toEqual({ 'a.01': ['a.com'] })
  expect(namesOf([pair('a', ['a.com'], expired), uploaded('u', ['a.com'])], [domain('a.com', 'automatic')])).toEqual({ 'u.01': ['a.com'] })
  expect(namesOf([uploaded('u', ['a.com'], expired)], domains)).toEqual({ 'u.01': ['a.com'] })
})

test('an uploaded wildcard serves the team’s domains that have nothing else, never those of another team', () => {
  const pairs = [uploaded('u', ['*.example.com']), pair('b', ['theirs.example.com'], { teamId: 't2' })]
  const domains = [domain('one.example.com', 'automatic'), domain('theirs.example.com', 'automatic', 't2')]
  expect(namesOf(pairs, domains)).toEqual({ 'u.01': ['one.example.com'], 'b.01': ['theirs.example.com'] })
})

test('a team with a thousand domains and as many wildcards of its own costs no more than its share, in time and in names', () => {
  const pairs = Array.from({ length: 1000 }, (_, i) => uploaded(`u${i}`, ['*.example.com'], { notAfter: new Date(now + day + i) }))
  const domains = Array.from({ length: 1000 }, (_, i) => domain(`d${i}.example.com`, 'uploaded'))
  const begun = performance.now()
  const names = namesOf(pairs, domains)
  expect(performance.now() - begun).toBeLessThan(2_000)
  expect(Object.values(names).flat().length).toBeLessThanOrEqual(4000)
  // The newest is among them.
  expect(names['u999.01']).toHaveLength(1000)
})
