import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import type { ChangeBus } from '../events/bus'
import { type DueLoop, startDueLoop } from './due-loop'
import type { Subscriber } from './relay'

export const streamName = 'SWITCHYARD'
const subjects = ['switchyard.>']
const hourNanos = 3_600 * 1e9
/** A stream that Switchyard creates keeps messages as long as the database keeps events, and knows their ids for a day. */
const retention = { max_age: 30 * 24 * hourNanos, duplicate_window: 24 * hourNanos }
const connectDeadlineMs = 5_000
const publishDeadlineMs = 5_000
/** A batch ends before its transaction does (20 s). */
const batchSize = 100
const batchMs = 10_000
/** Advisory lock: a single process publishes at a time, which keeps the order. */
const publishLock = 7_270_004

/** Queues every event for NATS, in the transaction that marks it as read. */
export const natsFanOut: Subscriber = {
  async take(tx, messages) {
    const data = messages.map(({ eventId, id, teamId, kind, body }) => ({
      eventId,
      teamId,
      messageId: id,
      subject: `switchyard.${teamId}.${kind}`,
      body,
    }))
    await tx.natsMessage.createMany({ data })
  },
}

/** Sends one message and returns when JetStream has stored it, or knows its id already. */
export type Publish = (message: { subject: string; messageId: string; body: string }) => Promise<void>

/** Publishes queued events to JetStream, in order, each at least once; the stream drops repetitions by `Nats-Msg-Id`. */
export function startNats(deps: { prisma: PrismaClient; url: string; bus: ChangeBus; logger: Logger }): DueLoop {
  const { prisma, url, bus, logger } = deps
  const link = createNatsLink(url)
  const loop = startDueLoop({
    what: 'NATS',
    isOfInterest: ({ kind }) => kind === 'nats',
    bus,
    logger,
    async round() {
      if ((await prisma.natsMessage.count({ take: 1 })) === 0) return Number.POSITIVE_INFINITY
      return (await publishQueued(prisma, await link.open())) > 0 ? 0 : Number.POSITIVE_INFINITY
    },
  })
  return {
    wake: loop.wake,
    async stop() {
      await loop.stop()
      await link.close()
    },
  }
}

/**
 * Publishes the oldest queued messages one after the other and removes them. A failure keeps the rest, and a process that dies keeps all of
 * them: they are published again under the same ids.
 * @returns how many; 0 also while another process publishes
 */
export async function publishQueued(prisma: PrismaClient, publish: Publish): Promise<number> {
  return prisma.$transaction(async (tx) => {
    const [lock] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(${publishLock}) AS "held"`
    if (!lock?.held) return 0
    const rows = await tx.natsMessage.findMany({ orderBy: { eventId: 'asc' }, take: batchSize })
    const until = performance.now() + batchMs
    const done: bigint[] = []
    let failure: unknown
    for (const row of rows) {
      if (performance.now() > until) break
      failure = await publish(row).then(
        () => null,
        (error: unknown) => error ?? new Error('not published'),
      )
      if (failure) break
      done.push(row.eventId)
    }
    await tx.natsMessage.deleteMany({ where: { eventId: { in: done } } })
    // The first message failed: the loop pauses before it tries again.
    if (failure && done.length === 0) throw failure
    return done.length
  })
}

export interface NatsLink {
  /** Connects if there is no connection, and creates the stream if it is missing. @throws when the server does not answer */
  open(): Promise<Publish>
  close(): Promise<void>
}

export function createNatsLink(url: string): NatsLink {
  let open: { connection: NatsConnection; publish: Publish } | null = null
  return {
    async open() {
      if (open && !open.connection.isClosed()) return open.publish
      const connection = await connect(connectionOptions(url))
      try {
        await ensureStream(connection)
        open = { connection, publish: publisher(jetstream(connection)) }
        return open.publish
      } catch (error) {
        await connection.close()
        throw error
      }
    },
    async close() {
      await open?.connection.close()
    },
  }
}

const publisher =
  (client: JetStreamClient): Publish =>
  async ({ subject, messageId, body }) => {
    await client.publish(subject, body, { msgID: messageId, timeout: publishDeadlineMs })
  }

/** User and password, or a token, are taken from the first URL: the client reads none from there. */
function connectionOptions(text: string): ConnectionOptions {
  const urls = text.split(',').map((one) => new URL(one.trim()))
  const [{ username, password }] = urls as [URL]
  const account = password
    ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
    : username
      ? { token: decodeURIComponent(username) }
      : {}
  return {
    ...account,
    servers: urls.map(({ host }) => host),
    ...(urls.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {}),
    name: 'switchyard',
    timeout: connectDeadlineMs,
    // The loop connects again, with its own pauses.
    reconnect: false,
  }
}

/** An existing stream stays as its operator has set it up. */
async function ensureStream(connection: NatsConnection): Promise<void> {
  const { streams } = await jetstreamManager(connection, { timeout: connectDeadlineMs })
  try {
    await streams.info(streamName)
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)) throw error
    await streams.add({ name: streamName, subjects, ...retention })
  }
}
