import { Prisma, type PrismaClient } from './generated/client'

/**
 * Every query of a use-case goes through a client that is bound to a single team. This file adds the team to each query, so a use-case
 * cannot forget it.
 */

/** Models with a `teamId`, read from the generated client, so that a new model is covered automatically. */
export const teamOwnedModels: readonly string[] = Object.values(Prisma.ModelName).filter((model) => {
  const fields = (Prisma as unknown as Record<string, Record<string, string> | undefined>)[`${model}ScalarFieldEnum`]
  return fields !== undefined && 'teamId' in fields
})
const teamOwned = new Set(teamOwnedModels)

/** Models without a team that a scoped client may only create: a job is queued in the transaction of its cause. */
const writableWithoutTeam: Readonly<Record<string, readonly string[]>> = { Job: ['create', 'createMany', 'createManyAndReturn'] }

/** Where each Prisma operation carries the team. Operations not listed are refused. */
export const operationScopes: Readonly<Record<string, 'where' | 'data' | 'upsert'>> = {
  findUnique: 'where',
  findUniqueOrThrow: 'where',
  findFirst: 'where',
  findFirstOrThrow: 'where',
  findMany: 'where',
  count: 'where',
  aggregate: 'where',
  groupBy: 'where',
  update: 'where',
  updateMany: 'where',
  updateManyAndReturn: 'where',
  delete: 'where',
  deleteMany: 'where',
  create: 'data',
  createMany: 'data',
  createManyAndReturn: 'data',
  upsert: 'upsert',
}

type Args = Record<string, unknown>
const asArgs = (value: unknown): Args => (value ?? {}) as Args

/** Throws for a programming error (not a user error), so that the first test that meets it fails. */
function refuse(what: string): never {
  throw new Error(`team scope: ${what}`)
}

function scopedWhere(where: unknown, teamId: string, column: string): Args {
  const given = asArgs(where)
  if (given[column] !== undefined && given[column] !== teamId) refuse(`a query names another ${column}`)
  return { ...given, [column]: teamId }
}

/** Checks nested writes: refuses another team's id, and `connect`, which could attach a row of another team. */
function checkNested(value: unknown, teamId: string): void {
  if (value === null || typeof value !== 'object' || value instanceof Date || ArrayBuffer.isView(value)) return
  if (Array.isArray(value)) {
    for (const item of value) checkNested(item, teamId)
    return
  }
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'teamId' && inner !== teamId) refuse('a write names another teamId')
    if (key === 'connect' || key === 'connectOrCreate' || key === 'set') refuse(`nested ${key}; write the foreign key after reading the row in scope`)
    checkNested(inner, teamId)
  }
}

/** Keys that mark a relation field of a write; any other object is a value, such as Json, and is not checked. */
const nestedVerbs = [
  'create',
  'createMany',
  'connect',
  'connectOrCreate',
  'update',
  'updateMany',
  'upsert',
  'delete',
  'deleteMany',
  'disconnect',
  'set',
]

function checkData(data: Args, teamId: string): Args {
  if (data.teamId !== undefined && data.teamId !== teamId) refuse('a write names another teamId')
  if ('team' in data) refuse('the team of a row is set by its scope, not by `team`')
  for (const value of Object.values(data)) {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Date || ArrayBuffer.isView(value)) continue
    const verbs = Object.keys(value)
    // `{ set: … }` alone is the long form of a scalar value.
    if (verbs.length > 0 && verbs.every((verb) => nestedVerbs.includes(verb)) && !(verbs.length === 1 && verbs[0] === 'set'))
      checkNested(value, teamId)
  }
  return data
}

function scopedData(data: unknown, teamId: string): unknown {
  if (Array.isArray(data)) return data.map((row) => scopedData(row, teamId))
  return { ...checkData(asArgs(data), teamId), teamId }
}

/** The arguments of one operation, bound to the team. Pure; exported for its test. */
export function scopeArguments(model: string, operation: string, args: unknown, teamId: string): Args {
  const given = asArgs(args)
  if (model === 'Team') {
    if (!operation.startsWith('find') && operation !== 'update' && operation !== 'count') refuse(`${operation} on Team`)
    return { ...given, where: scopedWhere(given.where, teamId, 'id') }
  }
  if (!teamOwned.has(model)) {
    if (!writableWithoutTeam[model]?.includes(operation)) refuse(`${model}.${operation}: ${model} belongs to no team`)
    return given
  }
  switch (operationScopes[operation]) {
    case 'where':
      if (given.data !== undefined) checkData(asArgs(given.data), teamId)
      return { ...given, where: scopedWhere(given.where, teamId, 'teamId') }
    case 'data':
      return { ...given, data: scopedData(given.data, teamId) }
    case 'upsert':
      return {
        ...given,
        where: scopedWhere(given.where, teamId, 'teamId'),
        create: scopedData(given.create, teamId),
        update: checkData(asArgs(given.update), teamId),
      }
    default:
      return refuse(`${model}.${operation} is not handled`)
  }
}

/**
 * `prisma` bound to the actor's team: reads, counts and writes reach only rows of that team, and creates get its id. Models without a team,
 * raw SQL and unknown operations are refused. Transactions of the returned client are bound as well.
 */
export function scopeTo(prisma: PrismaClient, actor: { teamId: string }) {
  const { teamId } = actor
  if (!teamId) refuse('there is no team to scope to')
  return prisma.$extends({
    name: `team ${teamId}`,
    query: {
      $allOperations({ model, operation, args, query }) {
        if (!model) return refuse(`${operation} through a scoped client`)
        return query(scopeArguments(model, operation, args, teamId))
      },
    },
  })
}
export type ScopedClient = ReturnType<typeof scopeTo>
/** The client inside `scoped.$transaction(async (tx) => …)`. */
export type ScopedTransaction = Parameters<Parameters<ScopedClient['$transaction']>[0]>[0]
