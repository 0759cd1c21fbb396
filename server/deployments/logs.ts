import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { deploymentTraits } from '@/shared/states'
import type { LogLineView } from '@/shared/views'
import type { ChangeBus } from '../events/bus'
import type { Actor } from '../platform'

const pageLines = 1000

export interface LogQuery {
  /** Id of the last line the reader has. */
  after?: string | undefined
  follow: boolean
  /** When a followed log ends: once the deployment is live or has ended, or only once it no longer runs (its app's output too). */
  until?: 'settled' | 'stopped'
  signal: AbortSignal
}

/** Lines after `after` in order, then, when following, new ones as they are written. @throws ERR_NOT_FOUND, ERR_INVALID_INPUT */
export async function* readLogs(
  deps: { prisma: PrismaClient; bus: ChangeBus },
  actor: Actor,
  deploymentId: string,
  query: LogQuery,
): AsyncGenerator<LogLineView> {
  // Subscribed before the first read: a line written in between is announced, not missed.
  const done = new AbortController()
  const signal = AbortSignal.any([query.signal, done.signal])
  const changes = deps.bus.listen((c) => c.id === deploymentId && (c.kind === 'log' || c.kind === 'deployment'), signal)[Symbol.asyncIterator]()
  try {
    let last = parsePosition(query.after)
    for (;;) {
      // The status is read before the lines: what an ended deployment has written is in the database by then.
      const ended = await hasEnded(deps.prisma, actor, deploymentId, query.until ?? 'settled')
      for (;;) {
        const lines = await deps.prisma.logLine.findMany({
          where: { deploymentId, teamId: actor.teamId, id: { gt: last } },
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

function parsePosition(after: string | undefined): bigint {
  if (after === undefined || after === '') return 0n
  if (!/^\d{1,18}$/.test(after)) throw new AppError('ERR_INVALID_INPUT', 'The position of a log is a number (Last-Event-ID).')
  return BigInt(after)
}

async function hasEnded(prisma: PrismaClient, actor: Actor, deploymentId: string, until: 'settled' | 'stopped'): Promise<boolean> {
  const row = await prisma.deployment.findFirst({ where: { id: deploymentId, teamId: actor.teamId }, select: { status: true } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.')
  const { running, live } = deploymentTraits[row.status]
  return until === 'settled' ? !running : !running && !live
}
