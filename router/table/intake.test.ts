import { expect, test } from 'vitest'
import { encodeParts, headOf, tableFrames } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'
import { routeTo, tableOf } from '../engine/contract/testing'
import { HostTable } from '../match/host-table'
import type { BuiltTable } from './builder'
import { type ArrivedTable, TableIntake } from './intake'

const table = (host: string) => tableOf([routeTo(host, [])])
const messages = (of: RouteTable) => [...tableFrames({ head: headOf(of), parts: [...encodeParts(of)] })]
const serving = (of: RouteTable): BuiltTable => ({ hosts: new HostTable(of), parts: new Map() })

/** Gives messages to an intake as the link does. */
function take(intake: TableIntake, lines: readonly Buffer[]): ArrivedTable | null {
  let arrived: ArrivedTable | null = null
  for (const line of lines) {
    const message = JSON.parse(line.toString())
    if (message.type === 'table-head') intake.begin(message, line)
    else if (message.type === 'table-part') intake.part(line)
    else arrived = intake.end(message.version)
  }
  return arrived
}

const empty = serving(tableOf([]))

test('a table is there with its end, and its copy is byte for byte what came', () => {
  const intake = new TableIntake(() => empty)
  const lines = messages(table('a.test'))
  expect(take(intake, lines.slice(0, -1))).toBeNull()
  const arrived = take(intake, lines.slice(-1))
  expect(arrived?.content?.built.hosts.find('a.test')).toBeDefined()
  expect(Buffer.concat(arrived?.content?.copy.lines ?? [])).toEqual(Buffer.concat(lines.slice(0, -1)))
})

test('a table that is followed by another before its end is dropped, and nothing of it is in the next', () => {
  const intake = new TableIntake(() => empty)
  take(intake, messages(table('dropped.test')).slice(0, -1))
  const arrived = take(intake, messages(table('next.test')))
  expect([...(arrived?.content?.built.hosts.routes() ?? [])].map(({ host }) => host)).toEqual(['next.test'])
})

test('what comes after a fault is passed over until the next table begins', () => {
  const intake = new TableIntake(() => empty)
  const bad = { ...table('a.test'), routes: [routeTo('a.test', []), routeTo('a.test', [])] }
  const [head, part, end] = messages(bad) as [Buffer, Buffer, Buffer]
  take(intake, [head])
  expect(() => take(intake, [part])).toThrow('two routes')
  expect(intake.version).toBe(bad.version)
  expect(take(intake, [part, end])).toBeNull()
  expect(take(intake, messages(table('b.test')))?.content).not.toBeNull()
})

test('the end of another table, or parts that are missing, leave no table', () => {
  const intake = new TableIntake(() => empty)
  const [head, part] = messages(table('a.test')) as [Buffer, Buffer]
  take(intake, [head, part])
  expect(() => intake.end(999_999)).toThrow('in place of')
  take(intake, [head])
  expect(() => intake.end(intake.version)).toThrow('1 parts, and 0 came')
  expect(intake.end(1)).toBeNull()
})

test('a table that serves already, or is older, is read past', () => {
  const [older, current] = [table('a.test'), table('b.test')]
  const intake = new TableIntake(() => serving(current))
  expect(take(intake, messages(current))).toEqual({ head: headOf(current), content: null })
  expect(take(intake, messages({ ...older, generatedAt: current.generatedAt }))).toMatchObject({ content: null })
})

test('a table is refused once its parts are too long together', () => {
  const routes = Array.from({ length: 1_000 }, (_, i) => routeTo(`shop-${i}.example.test`, []))
  const intake = new TableIntake(() => empty, 100_000)
  expect(() => take(intake, messages(tableOf(routes)))).toThrow('longer than 100000 bytes')
})

test('a head that is none is refused with the faults by name', () => {
  const intake = new TableIntake(() => empty)
  const head = { ...headOf(table('a.test')), httpsPort: 0 }
  expect(() => intake.begin({ head, parts: 0 }, Buffer.from('{}\n'))).toThrow('httpsPort')
})
