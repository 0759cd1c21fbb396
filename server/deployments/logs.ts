import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { deploymentTraits } from '@/shared/states'
import type { LogLineView } from '@/shared/views'
import type { Actor } from '../actor'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'

const pageLines = 1000

export interface LogQuery {
  /** Id of the last line the reader has received. */
  after?: string | undefined
  /** Start with the last N lines; ignored with `after`. */
  tail?: number | undefined
  follow: boolean
  /** End of a followed log. `settled`: the deployment is live or ended. `stopped`: it no longer runs, so the app's output is included. */
  until?: 'settled' | 'stopped' | undefined
  signal: AbortSignal
}
interface LogDeps {
  prisma: PrismaClient
  bus: ChangeBus
}
/** Selects log lines, and reports when no more will follow. */
interface LogSubject {
  deploymentId: string
  instanceId?: string
  ended(): Promise<boolean>
}

/** Yields the lines of a deployment: build, platform and app output. @throws ERR_NOT_FOUND, ERR_INVALID_INPUT */
export async function* readLogs(deps: LogDeps, actor: Actor, deploymentId: string, query: LogQuery): AsyncGenerator<LogLineView> {
  const db = scopeTo(deps.prisma, actor)
  yield* followLines(deps.bus, db, query, { deploymentId, ended: () => hasEnded(db, deploymentId, query.until ?? 'settled') })
}

/** Yields the lines of an instance, including a stopped instance. @throws ERR_NOT_FOUND, ERR_INVALID_INPUT */
export async function* readInstanceLogs(deps: LogDeps, actor: Actor, instanceId: string, query: LogQuery): AsyncGenerator<LogLineView> {
  const db = scopeTo(deps.prisma, actor)
  const instance = await db.instance.findUnique({ where: { id: instanceId } })
  if (!instance) throw new AppError('ERR_NOT_FOUND', 'There is no such instance in this team.')
  const ended = async () => (await db.instance.findUnique({ where: { id: instanceId }, select: { state: true } }))?.state === 'stopped'
  yield* followLines(deps.bus, db, query, { deploymentId: instance.deploymentId, instanceId, ended })
}

async function* followLines(bus: ChangeBus, db: ScopedClient, query: LogQuery, subject: LogSubject): AsyncGenerator<LogLineView> {
  const { deploymentId, instanceId } = subject
  // Subscribe before the first read, so that a line written in between is not missed.
  const done = new AbortController()
  const signal = AbortSignal.any([query.signal, done.signal])
  const concerns = new Set([deploymentId, instanceId])
  const changes = bus.listen((c) => concerns.has(c.id), signal)[Symbol.asyncIterator]()
  try {
    let last = query.after || !query.tail ? parsePosition(query.after) : await positionBefore(db, subject, query.tail)
    for (;;) {
      // Read the status before the lines: an ended deployment has already stored all its lines.
      const ended = await subject.ended()
      for (;;) {
        const lines = await db.logLine.findMany({
          where: { deploymentId, ...(instanceId ? { instanceId } : {}), id: { gt: last } },
          orderBy: { id: 'asc' },
          take: pageLines,
        })
        for (const line of lines) {
          if (query.signal.aborted) return
          last = line.id
          yield { id: String(line.id), step: line.step, stream: line.stream, text: line.text, at: line.at.toISOString() }
        }
        if (lines.length < pageLines) break
      }
      if (ended || !query.follow) return
      if ((await changes.next()).done) return
    }
  } finally {
    done.abort()
  }
}

async function positionBefore(db: ScopedClient, subject: LogSubject, tail: number): Promise<bigint> {
  const { deploymentId, instanceId } = subject
  const [line] = await db.logLine.findMany({
    where: { deploymentId, ...(instanceId ? { instanceId } : {}) },
    orderBy: { id: 'desc' },
    skip: tail,
    take: 1,
    select: { id: true },
  })
  return line?.id ?? 0n
}

/** Parses a line id from `Last-Event-ID` or `after`; 0 when absent. @throws ERR_INVALID_INPUT */
export function parsePosition(after: string | undefined): bigint {
  if (after === undefined || after === '') return 0n
  if (!/^\d{1,18}$/.test(after))
    throw new AppError('ERR_INVALID_INPUT', 'The position to go on after (after, Last-Event-ID) is not a number.', {
      nextAction: 'Send the id of the last event you have, or leave it out.',
    })
  return BigInt(after)
}

async function hasEnded(db: ScopedClient, deploymentId: string, until: 'settled' | 'stopped'): Promise<boolean> {
  const row = await db.deployment.findUnique({ where: { id: deploymentId }, select: { status: true } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.')
  const { running, live } = deploymentTraits[row.status]
  return until === 'settled' ? !running : !running && !live
}
