import { Prisma, type PrismaClient } from './generated/client'

/**
 * Every query of a use-case goes through a client that is bound to one team. The binding is made here, once, below the use-cases:
 * forgetting it in a `where` cannot happen, because no `where` of theirs carries it.
 */

/** Models with a `teamId`, read from the generated client: a new one is covered from its first migration on. */
export const teamOwnedModels: readonly string[] = Object.values(Prisma.ModelName).filter((model) => {
  const fields = (Prisma as unknown as Record<string, Record<string, string> | undefined>)[`${model}ScalarFieldEnum`]
  return fields !== undefined && 'teamId' in fields
})
const teamOwned = new Set(teamOwnedModels)

/** A job is queued in the transaction of the change it follows from; nobody reads jobs through a scoped client. */
const writableWithoutTeam: Readonly<Record<string, readonly string[]>> = { Job: ['create', 'createMany', 'createManyAndReturn'] }

/** What each operation of Prisma needs to stay inside the team. An operation that is not listed is refused. */
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

/** A mistake in our own code, not of a person: it must fail loudly in the first test that meets it. */
function refuse(what: string): never {
  throw new Error(`team scope: ${what}`)
}

function scopedWhere(where: unknown, teamId: string, column: string): Args {
  const given = asArgs(where)
  if (given[column] !== undefined && given[column] !== teamId) refuse(`a query names another ${column}`)
  return { ...given, [column]: teamId }
}

/** Looks through nested writes too: no other team's id, and no `connect`, which could attach a row of another team. */
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

/** Relation fields of a write are objects with these verbs; anything else is a value, such as Json, and not looked into. */
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
    // `{ set: … }` alone is the long form of a scalar.
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
 * `prisma`, bound to the team of `actor`: reads, counts and writes reach rows of that team only, creates get its id, and models
 * without a team, raw SQL and unknown operations are refused. Transactions of the returned client are bound as well.
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
/** What `scoped.$transaction(async (tx) => …)` hands over. */
export type ScopedTransaction = Parameters<Parameters<ScopedClient['$transaction']>[0]>[0]
