import { expect, test } from 'vitest'
import { tablePartBytes } from '@/shared/link'
import { encodeParts, headOf, isTablePart, tableFrames } from '@/shared/node/table-frames'
import { defaultProjectRules } from '@/shared/project-rules'
import type { Route, RouteTable } from '@/shared/route-table'
import { routeTo, tableOf } from '../engine/contract/testing'
import { HostTable } from '../match/host-table'
import { type BuiltTable, TableBuilder } from './builder'
import { build } from './testing'

const target = { instanceId: 'i', host: '127.0.0.1', port: 80 }
const names = (count: number, of = 'shop') => Array.from({ length: count }, (_, i) => `${of}-${i}.example.test`)
const policy = (sticky: boolean) => ({ ...defaultProjectRules, sticky })

/** A table of so many hosts under policies `a` and `b` in turns, with certificates. */
function large(count: number, changes: Partial<RouteTable> = {}): RouteTable {
  const routes = names(count).map((host, i) => routeTo(host, [target], { policy: i % 2 === 0 ? 'a' : 'b' }))
  const certificates = names(count / 10).map((name, i) => ({ id: `c-${i}`, names: [name], notAfter: i }))
  return { ...tableOf(routes), policies: { a: policy(true), b: policy(false) }, certificates, httpsPort: 443, ...changes }
}

const bytes = (table: RouteTable) => [...encodeParts(table)].map(({ frame }) => frame.toString())
const plain = ({ hosts }: Pick<BuiltTable, 'hosts'>) => ({ routes: [...hosts.routes()], certificates: hosts.certificates, port: hosts.httpsPort })

test('a table made of its parts is the one that was cut into them', () => {
  const table = large(2_000, { routes: [...large(2_000).routes, routeTo('*.wild.test', [target])] })
  expect(plain(build(table))).toEqual(plain({ hosts: new HostTable(table) }))
})

test('parts are short, each one line that is told from other messages', () => {
  const frames = [...encodeParts(large(5_000))].map(({ frame }) => frame)
  expect(frames.length).toBeGreaterThan(20)
  for (const frame of frames) {
    expect(frame.length).toBeLessThanOrEqual(tablePartBytes + 100)
    expect(frame.indexOf(10)).toBe(frame.length - 1)
    expect(isTablePart(frame)).toBe(true)
  }
  const [head, ...rest] = tableFrames({ head: headOf(large(1)), parts: [] })
  expect([head, ...rest].map((frame) => isTablePart(frame as Buffer))).toEqual([false, false])
})

test('a route more, less or changed leaves nearly all parts as they were', () => {
  const table = large(5_000)
  const before = new Set(bytes(table))
  const at = 2_345
  const more = table.routes.toSpliced(at, 0, routeTo('new.example.test', []))
  const less = table.routes.toSpliced(at, 1)
  const other = table.routes.with(at, { ...(table.routes[at] as Route), targets: [] })
  for (const routes of [more, less, other]) {
    const changed = bytes({ ...table, routes }).filter((part) => !before.has(part))
    expect(changed.length).toBeGreaterThan(0)
    expect(changed.length).toBeLessThanOrEqual(5)
  }
})

test('what did not change is what the table before has, what changed is new', () => {
  const table = large(2_000)
  const before = build(table)
  const host = 'shop-1000.example.test'
  const routes = table.routes.map((route) => (route.host === host ? { ...route, targets: [{ ...target, port: 81 }] } : route))
  const after = build({ ...table, version: table.version + 1, routes }, before)
  expect(after.hosts.find(host)?.targets[0]?.port).toBe(81)
  expect(before.hosts.find(host)?.targets[0]?.port).toBe(80)
  const kept = [...after.hosts.routes()].filter((route) => route === before.hosts.find(route.host))
  expect(kept.length).toBeGreaterThan(1_500)
  expect(plain(after)).toEqual(plain({ hosts: new HostTable({ ...table, routes }) }))
})

test('a route is not kept from the table before when the policy it names says something else', () => {
  const table = large(1_000)
  const before = build(table)
  const after = build({ ...table, policies: { a: policy(false), b: policy(false) } }, before)
  for (const route of after.hosts.routes()) expect(route.policy.sticky).toBe(false)
})

test('a policy that says the same is the same one, whatever is published beside it', () => {
  const table = large(1_000)
  const before = build(table)
  const after = build({ ...table, policies: { a: policy(true), b: policy(true), c: policy(true) } }, before)
  expect(after.hosts.policy('a')).toBe(before.hosts.policy('a'))
  expect(after.hosts.policy('b')).not.toBe(before.hosts.policy('b'))
})

test('a table with fewer routes than the one before has none of the others', () => {
  const table = large(1_000)
  const after = build({ ...table, routes: table.routes.slice(0, 10) }, build(table))
  expect(after.hosts.size).toBe(10)
  expect(after.hosts.find('shop-500.example.test')).toBeUndefined()
})

test('a certificate for tens of thousands of names comes in pieces and is one again, in every table that has it', () => {
  const table = { ...large(10), certificates: [{ id: 'wide', names: names(20_000), notAfter: 5 }, ...(large(10).certificates ?? [])] }
  for (const part of bytes(table)) expect(part.length).toBeLessThanOrEqual(tablePartBytes + 100)
  const before = build(table)
  const after = build(table, before)
  for (const { hosts } of [before, after]) expect(hosts.certificates).toEqual(table.certificates)
})

test('faults name their place in the whole table', () => {
  const table = large(2_000)
  table.routes[1_500] = routeTo('shop-1500.example.test', [{ ...target, host: 'localhost' }])
  expect(() => build(table)).toThrow('invalid route table: routes.1500.targets.0.host: must be an IP literal')
})

test('one host in two parts is refused, also where the table before has both parts', () => {
  const table = large(2_000)
  const twice = { ...table, routes: [...table.routes, routeTo('SHOP-0.example.test', [])] }
  expect(() => build(twice)).toThrow('two routes')
  expect(() => build(twice, build(table))).toThrow('two routes')
})

test('a table with a part too few or too many is none', () => {
  const table = large(1_000)
  const parts = [...encodeParts(table)]
  for (const count of [parts.length - 1, parts.length + 1]) {
    const builder = new TableBuilder(headOf(table), count, null)
    for (const { frame } of parts) builder.add(frame)
    expect(() => builder.finish()).toThrow(`${count} parts`)
  }
})
