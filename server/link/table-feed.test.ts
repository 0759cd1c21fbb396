import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeFrame, FrameReader } from '@/shared/node/frames'
import type { RouteTable } from '@/shared/route-table'
import { until } from '@/test/support/processes'
import { LinkHub } from './hub'
import { encodeTable } from './table-feed'

// biome-ignore lint/suspicious/noExplicitAny: what a router reads, looked at by tests
type Message = any

let home: string
let hub: LinkHub
const sockets: net.Socket[] = []
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-feed-'))
  hub = new LinkHub({ socketPath: path.join(home, 'edge.sock'), expectedWorkers: 1 })
  await hub.start()
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await hub.close()
  await rm(home, { recursive: true, force: true })
})

let version = 0
const table = (count = 1): RouteTable => ({
  version: ++version,
  generatedAt: new Date().toISOString(),
  dashboardUrl: 'http://localhost:3000',
  routes: Array.from({ length: count }, (_, i) => ({
    ...{ teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const },
    ...{ host: `shop-${i}.example.test`, targets: [] },
  })),
})

/** A router that reads, or does not yet; it acknowledges nothing by itself. */
function router() {
  const socket = net.connect(path.join(home, 'edge.sock'))
  sockets.push(socket)
  const heard: Message[] = []
  const reader = new FrameReader(100_000_000, (frame) => heard.push(frame))
  socket.on('data', (chunk: Buffer) => reader.push(chunk))
  socket.write(encodeFrame({ type: 'hello', workerId: 0, pid: 1, version: 0, listening: true }))
  return { socket, heard, ack: (of: number) => socket.write(encodeFrame({ type: 'ack', version: of })) }
}
const publish = (one: RouteTable) => hub.publish(one, { deadlineMs: 30_000 })
const kinds = (heard: Message[]) => heard.map(({ type }) => type).join(' ')

test('a router that says so is given a head, parts and an end', async () => {
  const { heard, ack } = router()
  const one = table(2_000)
  const published = publish(one)
  await until('its end', 10_000, () => heard.at(-1)?.type === 'table-end')
  const { routes, ...head } = one
  const parts = heard.slice(1, -1)
  expect(heard[0]).toEqual({ type: 'table-head', head, parts: parts.length })
  expect(parts.flatMap((part) => part.routes)).toEqual(routes)
  expect(heard.at(-1)).toEqual({ type: 'table-end', version: one.version })
  ack(one.version)
  expect(await published).toEqual({ acknowledged: 1 })
})

test('who says hello later is given the newest table, whole', async () => {
  const one = table(500)
  const published = publish(one)
  const { heard, ack } = router()
  await until('its end', 10_000, () => heard.at(-1)?.type === 'table-end')
  ack(one.version)
  await published
})

test('a slow router gets what was begun to its end, then the newest alone; who waited for one in between has what it wanted', async () => {
  const { socket, heard, ack } = router()
  await until('it is there', 10_000, () => hub.status().workers.length === 1)
  socket.pause()
  const tables = [table(20_000), table(20_000), table(20_000), table(20_000)]
  const published = tables.map(publish)
  await until('all are encoded', 10_000, () => hub.status().version === tables[3]?.version)
  socket.resume()
  await until('the newest', 10_000, () => heard.at(-1)?.version === tables[3]?.version && heard.at(-1)?.type === 'table-end')
  const ends = heard.filter(({ type }) => type === 'table-end').map((end) => end.version)
  expect(ends).toEqual([tables[0]?.version, tables[3]?.version])
  expect(kinds(heard)).toMatch(/^table-head( table-part)+ table-end table-head( table-part)+ table-end$/)
  ack(tables[3]?.version ?? 0)
  for (const one of published) expect(await one).toEqual({ acknowledged: 1 })
})

test('other messages find their way between the parts of a table that a router reads slowly', async () => {
  const { socket, heard } = router()
  await until('it is there', 10_000, () => hub.status().workers.length === 1)
  socket.pause()
  const one = table(20_000)
  publish(one).catch(() => {})
  await until('it is encoded', 10_000, () => hub.status().version === one.version)
  hub.messages.setState('watched', { projectIds: [] }, { deadlineMs: 30_000 }).catch(() => {})
  socket.resume()
  await until('its end', 10_000, () => heard.at(-1)?.type === 'table-end')
  expect(kinds(heard)).toMatch(/table-part state .*table-part/)
})

test('the control plane does its other work while it encodes a large table', async () => {
  let turns = 0
  const count = () => {
    turns++
    timer = setImmediate(count)
  }
  let timer = setImmediate(count)
  const { parts } = await encodeTable(table(50_000))
  clearImmediate(timer)
  expect(parts.length).toBeGreaterThan(100)
  expect(turns).toBeGreaterThan(5)
})

test('a table longer than routers read is refused, and the one before stays the newest', async () => {
  const one = table()
  const { heard, ack } = router()
  const published = publish(one)
  await until('its end', 10_000, () => heard.at(-1)?.type === 'table-end')
  ack(one.version)
  await published
  await expect(encodeTable(table(1_000), 10_000)).rejects.toMatchObject({ code: 'ERR_CUTOVER', message: expect.stringContaining('10000 bytes') })
  expect(hub.status().version).toBe(one.version)
})
