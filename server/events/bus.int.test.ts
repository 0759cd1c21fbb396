/** Tests the change bus against a Postgres behind a proxy that simulates a killed or restarted server. */
import net from 'node:net'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '@/test/support/database'
import { until } from '@/test/support/processes'
import { type ChangeBus, createChangeBus } from './bus'

let db: TestDatabase
let pool: pg.Pool
const open: { close(): Promise<unknown> }[] = []
beforeAll(async () => {
  db = await createTestDatabase()
  pool = new pg.Pool({ connectionString: db.url, max: 2 })
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})
afterAll(async () => {
  await pool?.end()
  await db?.drop()
})

/** TCP proxy to the database; during an outage it accepts connections and either drops them or leaves them without a reply. */
async function proxy() {
  const target = new URL(db.url)
  const sockets = new Set<net.Socket>()
  let mode: 'pass' | 'drop' | 'silent' = 'pass'
  let attempts = 0
  const server = net.createServer((socket) => {
    attempts++
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    if (mode === 'drop') return void socket.destroy()
    if (mode === 'silent') return void socket.resume()
    const upstream = net.connect(Number(target.port), target.hostname)
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    socket.pipe(upstream).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(db.url)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as net.AddressInfo).port)
  const goAway = (how: 'drop' | 'silent') => {
    mode = how
    attempts = 0
    for (const socket of sockets) socket.destroy()
  }
  open.push({
    close: () => {
      goAway('drop')
      return new Promise((resolve) => server.close(resolve))
    },
  })
  return {
    url: url.href,
    goAway,
    comeBack: () => {
      mode = 'pass'
      attempts = 0
    },
    attempts: () => attempts,
    connections: () => sockets.size,
  }
}

function listenOn(url: string): { bus: ChangeBus; received: string[]; missed: () => number } {
  const bus = createChangeBus({ url, pool, logger: pino({ level: 'silent' }) })
  const ended = new AbortController()
  const received: string[] = []
  let missed = 0
  const reading = (async () => {
    for await (const change of bus.listen(() => true, ended.signal)) {
      if (change) received.push(change.id)
      else missed++
    }
  })()
  open.push({
    async close() {
      ended.abort()
      await reading
      await bus.close()
    },
  })
  return { bus, received, missed: () => missed }
}

const change = (id: string) => ({ kind: 'project', id, teamId: 'team', projectId: null }) as const

test('after five outages there is one connection that listens, and each change is heard once', async () => {
  const database = await proxy()
  const { bus, received, missed } = listenOn(database.url)
  await until('it listens', 20_000, () => missed() === 1)
  for (const outage of [1, 2, 3, 4, 5]) {
    database.goAway('drop')
    await until('it has failed and tried again', 30_000, () => database.attempts() >= 2)
    database.comeBack()
    await until('listeners are told that they may have missed some', 30_000, () => missed() === outage + 1)
    await bus.publish(change(`after-${outage}`))
    await until('the change is heard', 20_000, () => received.includes(`after-${outage}`))
    expect({ connections: database.connections(), received }).toEqual({
      connections: 1,
      received: Array.from({ length: outage }, (_, i) => `after-${i + 1}`),
    })
  }
}, 120_000)

test('a database that takes connections and never answers is left after a deadline, and holds no descriptor', async () => {
  const database = await proxy()
  const { missed } = listenOn(database.url)
  await until('it listens', 20_000, () => missed() === 1)
  database.goAway('silent')
  await until('an attempt was given up', 40_000, () => database.attempts() >= 2 && database.connections() <= 1)
  database.comeBack()
  await until('it listens again', 30_000, () => missed() === 2)
  expect(database.connections()).toBe(1)
}, 120_000)

test('a notice that is no change is ignored, and the next one is heard', async () => {
  const { bus, received, missed } = listenOn(db.url)
  await until('it listens', 20_000, () => missed() === 1)
  for (const payload of ['{', 'null', '7', '{"kind":1}']) await pool.query('SELECT pg_notify($1, $2)', ['switchyard_changes', payload])
  await bus.publish(change('sound'))
  await until('the sound one is heard', 20_000, () => received.length > 0)
  expect(received).toEqual(['sound'])
})

test('a bus that is closed while its database is away makes no further attempt', async () => {
  const database = await proxy()
  database.goAway('drop')
  const bus = createChangeBus({ url: database.url, pool, logger: pino({ level: 'silent' }) })
  await until('it tries', 20_000, () => database.attempts() >= 2)
  await bus.close()
  const attempts = database.attempts()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(database.attempts()).toBe(attempts)
})
