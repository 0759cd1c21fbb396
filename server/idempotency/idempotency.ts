import type { PrismaClient } from '@/server/database/generated/client'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { isUniqueViolation } from '../database/client'
import { scopeTo } from '../database/scope'
import type { Secrets } from '../secrets/secrets'

/**
 * Answers of requests that came with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07), so that a repeated request gets
 * the same answer instead of a second effect. A row is written before the request runs and holds its answer afterwards.
 */

const leaseMs = 30_000
const hourMs = 3_600_000

export interface StoredAnswer {
  status: number
  headers: [name: string, value: string][]
  body: string
}

/** A request that runs under a key, and under a lease that is renewed until one of these is called. */
export interface KeyedRun {
  /** Keeps the answer for repeats. `fingerprint` and `bodyBytes` of a body that was not known at the beginning. */
  complete(answer: StoredAnswer, body?: { fingerprint: Uint8Array; sizeBytes: number }): Promise<void>
  /** Forgets the key: a repeat runs again. */
  abandon(): Promise<void>
}

export type Claim =
  | { state: 'new'; run: KeyedRun }
  /** Another request with this key runs, or its process has died less than a lease ago. null: its body is not known yet. */
  | { state: 'running'; fingerprint: Uint8Array | null }
  | { state: 'done'; fingerprint: Uint8Array | null; bodyBytes: number | null; answer: StoredAnswer }

export interface Idempotency {
  /**
   * Begins a request with a key, or returns the state of the earlier request. Keys are separate for each user and API key. `fingerprint`: digest
   * of method, path and body; null: the body is a stream.
   */
  claim(actor: Actor, key: string, fingerprint: Uint8Array<ArrayBuffer> | null): Promise<Claim>
}

interface Deps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  /** Hours for which responses are kept. */
  keepHours: number
}

export function createIdempotency(deps: Deps): Idempotency {
  return {
    async claim(actor, key, fingerprint) {
      for (;;) {
        const claim = (await begin(deps, actor, key, fingerprint)) ?? (await lookUp(deps, actor, key, fingerprint))
        if (claim) return claim
      }
    },
  }
}

const subject = ({ kind, id }: Actor): string => `${kind}:${id}`
const leaseEnd = (): Date => new Date(Date.now() + leaseMs)

/** null: a row exists already. */
async function begin(deps: Deps, actor: Actor, key: string, fingerprint: Uint8Array<ArrayBuffer> | null): Promise<Claim | null> {
  const [id, leaseOwner] = [newId(), newId()]
  const times = { leaseExpiresAt: leaseEnd(), expiresAt: new Date(Date.now() + deps.keepHours * hourMs) }
  const { teamId } = actor
  try {
    await scopeTo(deps.prisma, actor).keyedAnswer.create({ data: { id, teamId, actor: subject(actor), key, fingerprint, leaseOwner, ...times } })
    return { state: 'new', run: runUnder(deps, actor, id, leaseOwner) }
  } catch (error) {
    if (isUniqueViolation(error)) return null
    throw error
  }
}

/** null: the row was removed or is being replaced; try again. */
async function lookUp(deps: Deps, actor: Actor, key: string, fingerprint: Uint8Array | null): Promise<Claim | null> {
  const db = scopeTo(deps.prisma, actor)
  const row = await db.keyedAnswer.findFirst({ where: { actor: subject(actor), key } })
  if (!row) return null
  const now = new Date()
  const same = row.fingerprint === null || fingerprint === null || Buffer.from(row.fingerprint).equals(fingerprint)
  if (row.expiresAt <= now || (row.answer === null && row.leaseExpiresAt <= now && same)) {
    // Remove the expired row and begin again: of two concurrent requests, the unique key admits only one.
    const over = [{ expiresAt: { lte: now } }, { answer: null, leaseExpiresAt: { lte: now } }]
    await db.keyedAnswer.deleteMany({ where: { id: row.id, OR: over } })
    return null
  }
  if (row.answer === null) return { state: 'running', fingerprint: row.fingerprint }
  const answer = JSON.parse(await deps.secrets.open(actor.teamId, row.answer)) as StoredAnswer
  return { state: 'done', fingerprint: row.fingerprint, bodyBytes: row.bodyBytes === null ? null : Number(row.bodyBytes), answer }
}

function runUnder(deps: Deps, actor: Actor, id: string, leaseOwner: string): KeyedRun {
  const db = scopeTo(deps.prisma, actor)
  const mine = { id, leaseOwner }
  // A failed renewal is repaired by the next one; after three failures the lease ends.
  const renew = () => db.keyedAnswer.updateMany({ where: mine, data: { leaseExpiresAt: leaseEnd() } }).catch(() => {})
  const beat = setInterval(renew, leaseMs / 3)
  beat.unref()
  return {
    async complete(answer, body) {
      clearInterval(beat)
      const sealed = await deps.secrets.seal(actor.teamId, JSON.stringify(answer))
      const known = body && { fingerprint: new Uint8Array(body.fingerprint), bodyBytes: BigInt(body.sizeBytes) }
      await db.keyedAnswer.updateMany({ where: mine, data: { answer: sealed, ...known } })
    },
    async abandon() {
      clearInterval(beat)
      await db.keyedAnswer.deleteMany({ where: mine })
    },
  }
}
