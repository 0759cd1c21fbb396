import { expect, it } from 'vitest'
import { z } from 'zod'
import { rulesPatch } from '@/shared/rules-settings'
import { projectInput } from '@/shared/views'
import { refuseUnknownFields } from './unknown-fields'

const messageOf = (schema: z.ZodType, value: unknown): string | null => {
  try {
    refuseUnknownFields(schema, value)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

it('a field that a schema does not know is named with its place, at any depth', () => {
  const schema = z.object({
    list: z.array(z.object({ a: z.string() })).optional(),
    byName: z.record(z.string(), z.object({ a: z.string() })).nullish(),
    either: z.discriminatedUnion('kind', [z.object({ kind: z.literal('x'), x: z.number() }), z.object({ kind: z.literal('y') })]).optional(),
    later: z.lazy(() => z.object({ a: z.string().optional() })).default({}),
    free: z.unknown(),
  })
  expect(messageOf(schema, { list: [{ a: '' }, { a: '', b: 1 }] })).toContain('list.1.b')
  expect(messageOf(schema, { byName: { one: { a: '', b: 1 } } })).toContain('byName.one.b')
  expect(messageOf(schema, { either: { kind: 'y', x: 1 } })).toContain('either.x')
  expect(messageOf(schema, { either: { kind: 'x', x: 1 }, free: { whatever: 1 }, later: {} })).toBeNull()
  expect(messageOf(schema, { later: { c: 1 } })).toContain('later.c')
  // Names that every object inherits are no fields.
  expect(messageOf(schema, JSON.parse('{"__proto__": 1}'))).toContain('__proto__')
  expect(messageOf(schema, { constructor: 1 })).toContain('constructor')
})

it('what the API takes is taken: transformed fields, rules with nested parts', () => {
  expect(messageOf(projectInput, { name: 'x', buildCommand: 'make', runtimeSettings: {} })).toBeNull()
  expect(messageOf(rulesPatch, { protection: { kind: 'basic', users: [{ name: 'a', password: 'b'.repeat(9) }] } })).toBeNull()
  expect(messageOf(rulesPatch, { protection: { kind: 'basic', users: [{ name: 'a', pasword: 'b' }] } })).toContain('protection.users.0.pasword')
})
