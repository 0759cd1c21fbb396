import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { operationScopes, scopeArguments, teamOwnedModels } from './scope'

const schema = readFileSync(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8')
const models = [...schema.matchAll(/^model (\w+) \{([\s\S]*?)^\}/gm)].map(([, name = '', body = '']) => ({ name, owned: /^\s+teamId\s/m.test(body) }))
const generated = readFileSync(new URL('./generated/models/Project.ts', import.meta.url), 'utf8')

describe('the team scope', () => {
  it('covers every model of the schema that has a teamId', () => {
    expect([...teamOwnedModels].sort()).toEqual(
      models
        .filter((model) => model.owned)
        .map((model) => model.name)
        .sort(),
    )
    expect(teamOwnedModels.length).toBeGreaterThan(10)
  })

  it('handles every operation that the generated client offers', () => {
    const from = generated.indexOf('export interface ProjectDelegate')
    const delegate = generated.slice(from, generated.indexOf('\n}\n', from))
    const operations = new Set([...delegate.matchAll(/^ {2}(\w+)</gm)].map(([, name]) => name as string))
    expect(operations.size).toBeGreaterThan(10)
    for (const operation of operations) expect(operationScopes[operation], operation).toBeDefined()
  })

  it('refuses models without a team, and operations it does not know', () => {
    for (const model of models.filter((one) => !one.owned && !['Team', 'Job'].includes(one.name)))
      expect(() => scopeArguments(model.name, 'findMany', {}, 'a'), model.name).toThrow('belongs to no team')
    expect(() => scopeArguments('Job', 'findMany', {}, 'a')).toThrow('belongs to no team')
    expect(() => scopeArguments('Project', 'mergeInto', {}, 'a')).toThrow('not handled')
  })

  it('binds reads, writes and creates', () => {
    expect(scopeArguments('Project', 'findMany', undefined, 'a')).toEqual({ where: { teamId: 'a' } })
    expect(scopeArguments('Project', 'update', { where: { id: '1' }, data: { name: 'x' } }, 'a')).toMatchObject({ where: { id: '1', teamId: 'a' } })
    expect(scopeArguments('Project', 'createMany', { data: [{ id: '1' }, { id: '2' }] }, 'a')).toEqual({
      data: [
        { id: '1', teamId: 'a' },
        { id: '2', teamId: 'a' },
      ],
    })
    expect(scopeArguments('Variable', 'upsert', { where: { id: '1' }, create: { key: 'K' }, update: {} }, 'a')).toEqual({
      where: { id: '1', teamId: 'a' },
      create: { key: 'K', teamId: 'a' },
      update: {},
    })
    expect(scopeArguments('Team', 'findUnique', { where: {} }, 'a')).toEqual({ where: { id: 'a' } })
  })

  it('refuses another team in a where, in data, in a nested write and by connect', () => {
    expect(() => scopeArguments('Project', 'findMany', { where: { teamId: 'b' } }, 'a')).toThrow('another teamId')
    expect(() => scopeArguments('Project', 'update', { where: { id: '1' }, data: { teamId: 'b' } }, 'a')).toThrow('another teamId')
    expect(() => scopeArguments('Project', 'create', { data: { environments: { create: { teamId: 'b' } } } }, 'a')).toThrow('another teamId')
    expect(() => scopeArguments('Project', 'create', { data: { team: { connect: { id: 'b' } } } }, 'a')).toThrow('team scope')
    expect(() => scopeArguments('Variable', 'create', { data: { environment: { connect: { id: 'x' } } } }, 'a')).toThrow('connect')
    expect(() => scopeArguments('Team', 'findUnique', { where: { id: 'b' } }, 'a')).toThrow('another id')
  })

  it('leaves Json values alone, whatever their keys', () => {
    const data = { source: { kind: 'git', connect: 1, teamId: 'whatever' } }
    expect(scopeArguments('Deployment', 'create', { data }, 'a')).toEqual({ data: { ...data, teamId: 'a' } })
  })
})
