import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createProject, openTestDatabase } from '@/test/support/factory'
import { hasNatsServer, type NatsServer, startNatsServer } from '@/test/support/nats'
import { until } from '@/test/support/processes'
import { type ChangeBus, createChangeBus } from '../events/bus'
import { createNatsLink, natsFanOut, publishQueued, startNats, streamName } from './nats'
import { relayBatch, startRelay } from './relay'
import { writeEvent } from './write-event'

const edge = { scheme: 'http', port: 8080, baseDomain: 'localhost' } as const
const logger = pino({ level: 'silent' })

// Without Debian's package this is skipped: node scripts/system-packages.mjs nats-server
describe.skipIf(!hasNatsServer)('JetStream of a real nats-server', () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>
  let bus: ChangeBus
  let server: NatsServer
  const open: { stop(): Promise<unknown> }[] = []

  beforeAll(async () => {
    db = await openTestDatabase()
    bus = createChangeBus({ url: db.url, pool: db.pool, logger })
  })
  afterAll(async () => {
    await bus.close()
    await db.close()
  })
  beforeEach(async () => {
    server = await startNatsServer()
  })
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop()
    await server.close()
    await db.prisma.natsMessage.deleteMany()
  })

  async function happen(owner: { teamId: string; project: { id: string } }, count: number): Promise<void> {
    for (let i = 0; i < count; i++)
      await db.prisma.$transaction((tx) =>
        writeEvent(tx, {
          teamId: owner.teamId,
          projectId: owner.project.id,
          kind: 'domain.verified',
          payload: { domainId: 'd', hostname: `${i}.example` },
        }),
      )
  }

  /** Everything that a durable consumer of this team is given, in order. */
  async function consumed(teamId: string): Promise<{ id: string; hostname: string; subject: string }[]> {
    const connection = await connect({ servers: server.url })
    try {
      const { consumers, streams } = await jetstreamManager(connection)
      const filter_subject = `switchyard.${teamId}.>`
      await consumers.add(streamName, { durable_name: teamId, ack_policy: AckPolicy.Explicit, filter_subject })
      expect((await streams.info(streamName)).config.subjects).toEqual(['switchyard.>'])
      const messages = await (await jetstream(connection).consumers.get(streamName, teamId)).fetch({ max_messages: 1_000, expires: 2_000 })
      const found: { id: string; hostname: string; subject: string }[] = []
      for await (const message of messages) {
        const { id, data } = message.json<{ id: string; data: { hostname: string } }>()
        expect(message.headers?.get('Nats-Msg-Id')).toBe(id)
        found.push({ id, hostname: data.hostname, subject: message.subject })
        message.ack()
      }
      return found
    } finally {
      await connection.close()
    }
  }

  test('each event is seen exactly once and in order, under its id, although the reader dies between publishing and marking', async () => {
    const owner = await createProject(db.prisma)
    await happen(owner, 10)
    await relayBatch({ prisma: db.prisma, edge, subscribers: [natsFanOut] })
    const link = createNatsLink(server.url)
    open.push({ stop: () => link.close() })
    const publish = await link.open()
    for (const dieAfter of [1, 4, 10]) {
      let published = 0
      // A process that dies leaves its transaction without a commit: what it has published is not marked.
      const dying = publishQueued(db.prisma, async (message) => {
        await publish(message)
        if (++published === dieAfter)
          await db.pool.query(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7270004`)
      })
      await expect(dying).rejects.toThrow()
    }
    expect(await db.prisma.natsMessage.count()).toBe(10)
    expect(await publishQueued(db.prisma, publish)).toBe(10)
    const seen = await consumed(owner.teamId)
    expect(seen.map(({ hostname }) => hostname)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}.example`))
    expect(seen[0]?.subject).toBe(`switchyard.${owner.teamId}.domain.verified`)
    expect(await db.prisma.natsMessage.count()).toBe(0)
  })

  test('an outage of NATS delays events and loses none; everything else goes on', async () => {
    const owner = await createProject(db.prisma)
    await server.kill()
    open.push(
      startRelay({ prisma: db.prisma, edge, subscribers: [natsFanOut], bus, logger }),
      startNats({ prisma: db.prisma, url: server.url, bus, logger }),
    )
    await happen(owner, 5)
    await until('the outbox is read', 20_000, async () => (await db.prisma.natsMessage.count()) === 5)
    expect(await db.prisma.event.count({ where: { publishedAt: null } })).toBe(0)
    await server.start()
    await until('they are published', 30_000, async () => (await db.prisma.natsMessage.count()) === 0)
    await server.kill()
    await server.start()
    await happen(owner, 5)
    await until(
      'they are published over a new connection',
      30_000,
      async () => (await db.prisma.natsMessage.count()) === 0 && (await db.prisma.event.count({ where: { publishedAt: null } })) === 0,
    )
    expect(await consumed(owner.teamId)).toHaveLength(10)
  })
})
