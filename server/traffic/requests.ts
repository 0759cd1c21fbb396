import type { AccessLine, Prisma, PrismaClient } from '@/server/database/generated/client'
import type { RequestFilter, RequestView } from '@/shared/traffic'
import type { Actor } from '../actor'
import { literal } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { parsePosition } from '../deployments/logs'
import type { ChangeBus } from '../events/bus'
import { watchBeatMs } from './watched'

/** Lines shown when a live view starts. */
const linesToBeginWith = 50
/** Lines per read of a live view: a slow reader sees lines late but misses none. */
const pageLines = 200

function whereOf(projectId: string, { status, path, host, method, requestId }: RequestFilter): Prisma.AccessLineWhereInput {
  const hundreds = status?.endsWith('xx') ? Number(status[0]) * 100 : null
  return {
    projectId,
    ...(status === undefined ? {} : { status: hundreds === null ? Number(status) : { gte: hundreds, lt: hundreds + 100 } }),
    ...(path === undefined ? {} : { target: { contains: literal(path), mode: 'insensitive' as const } }),
    ...(host === undefined ? {} : { host: host.startsWith('*.') ? { endsWith: literal(host.slice(1)) } : host }),
    ...(method === undefined ? {} : { method }),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** Stored requests, newest first. */
export async function listRequests(
  db: ScopedClient,
  projectId: string,
  filter: RequestFilter,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ items: RequestView[]; nextCursor: string | null }> {
  const where = { ...whereOf(projectId, filter), ...(page.cursor === undefined ? {} : { id: { lt: BigInt(page.cursor) } }) }
  const rows = await db.accessLine.findMany({ where, orderBy: { id: 'desc' }, take: page.limit + 1 })
  const items = rows.slice(0, page.limit).map(present)
  return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null }
}

export interface FollowQuery extends RequestFilter {
  /** Id of the last request that the reader has seen. */
  after?: string | undefined
  signal: AbortSignal
}

/**
 * Yields recent requests, then new ones. While it is read, routers report all requests of the project instead of a sample.
 * @throws ERR_INVALID_INPUT for an invalid position
 */
export async function* followRequests(
  deps: { prisma: PrismaClient; bus: ChangeBus },
  actor: Actor,
  projectId: string,
  query: FollowQuery,
): AsyncGenerator<RequestView> {
  const { bus } = deps
  const db = scopeTo(deps.prisma, actor)
  const { after, signal: left, ...filter } = query
  let last = after === undefined || after === '' ? null : parsePosition(after)
  const where = whereOf(projectId, filter)
  const done = new AbortController()
  const signal = AbortSignal.any([left, done.signal])
  // Subscribed before the first read: a line written in between is announced, not missed.
  const changes = bus.listen((change) => change.kind === 'request' && change.projectId === projectId, signal)[Symbol.asyncIterator]()
  const beat = () => void bus.publish({ kind: 'watch', id: projectId, teamId: actor.teamId, projectId })
  beat()
  const beats = setInterval(beat, watchBeatMs)
  try {
    for (;;) {
      const rows: AccessLine[] =
        last === null
          ? (await db.accessLine.findMany({ where, orderBy: { id: 'desc' }, take: linesToBeginWith })).reverse()
          : await db.accessLine.findMany({ where: { ...where, id: { gt: last } }, orderBy: { id: 'asc' }, take: pageLines })
      for (const row of rows) {
        if (left.aborted) return
        yield present(row)
      }
      last = rows.at(-1)?.id ?? last ?? (await newestId(db, projectId))
      if (rows.length === pageLines) continue
      if ((await changes.next()).done) return
    }
  } finally {
    clearInterval(beats)
    done.abort()
  }
}

// Fallback position when no line matches yet: later lines have higher ids.
async function newestId(db: ScopedClient, projectId: string): Promise<bigint> {
  const newest = await db.accessLine.findFirst({ where: { projectId }, orderBy: { id: 'desc' }, select: { id: true } })
  return newest?.id ?? 0n
}

/** Content of a line's JSON column; written by `lines.ts`. */
type Detail = { port?: number | null } & Pick<
  RequestView,
  'upstreamMs' | 'bytesIn' | 'bytesOut' | 'cache' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent' | 'reason'
>

function present(row: AccessLine): RequestView {
  const { port = null, upstreamMs, bytesIn, bytesOut, cache, protocol, scheme, clientIp, userAgent, reason } = row.detail as unknown as Detail
  return {
    id: String(row.id),
    at: row.at.toISOString(),
    requestId: row.requestId,
    deploymentId: row.deploymentId,
    instanceId: row.instanceId,
    host: row.host,
    port,
    method: row.method,
    target: row.target,
    status: row.status,
    durationMs: row.durationMs,
    ...{ upstreamMs, bytesIn, bytesOut, cache, protocol, scheme, clientIp, userAgent, reason },
  }
}
