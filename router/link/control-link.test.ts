import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RouterMessage } from '@/shared/link'
import { encodeFrame, FrameReader } from '@/shared/node/frames'
import { encodeParts, headOf, tableFrames } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'
import { quietLog, routeTo, tableOf, until } from '../engine/contract/testing'
import { HostTable } from '../match/host-table'
import type { BuiltTable } from '../table/builder'
import type { ArrivedTable } from '../table/intake'
import { ControlLink } from './control-link'

/** The control plane's end, byte for byte. */
class Control {
  readonly said: RouterMessage[] = []
  socket: net.Socket | undefined
  readonly #server = net.createServer((socket) => {
    this.socket = socket
    const reader = new FrameReader(1_000_000, (frame) => this.said.push(frame as RouterMessage))
    socket.on('data', (chunk: Buffer) => reader.push(chunk)).on('error', () => {})
  })

  listen(socketPath: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(socketPath, resolve))
  }

  async hello(): Promise<RouterMessage> {
    const before = this.said.length
    await until('a hello', () => this.said.slice(before).some(({ type }) => type === 'hello'))
    return this.said.slice(before).find(({ type }) => type === 'hello') as RouterMessage
  }

  send(...frames: readonly (Buffer | string)[]): void {
    for (const frame of frames) this.socket?.write(frame)
  }

  answers(): RouterMessage[] {
    return this.said.filter(({ type }) => type === 'ack' || type === 'nack')
  }

  close(): void {
    this.socket?.destroy()
    this.#server.close()
  }
}

let directory: string
let control: Control
let link: ControlLink
let serving: BuiltTable
let applied: string[]
/** Applying a table waits for it. */
let held: Promise<void>

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'switchyard-link-'))
  const socketPath = path.join(directory, 'edge.sock')
  control = new Control()
  await control.listen(socketPath)
  serving = { hosts: new HostTable(tableOf([])), parts: new Map() }
  applied = []
  held = Promise.resolve()
  link = new ControlLink({
    socketPath,
    workerId: 0,
    state: () => ({ version: serving.hosts.version, listening: true }),
    serving: () => serving,
    onTable: async ({ content }: ArrivedTable) => {
      await held
      if (!content) return
      serving = content.built
      applied.push([...serving.hosts.routes()].map(({ host }) => host).join())
    },
    inFlight: () => ({}),
    handlers: {
      states: { challenges: () => {}, watched: () => {} },
      commands: { purge: async () => ({ entries: 0 }), 'end-connections': async () => ({ ended: 0 }) },
    },
    log: quietLog,
  })
  link.start()
})
afterEach(async () => {
  link.stop()
  control.close()
  await rm(directory, { recursive: true, force: true })
})

const table = (host: string) => tableOf([routeTo(host, [])])
const inParts = (of: RouteTable) => [...tableFrames({ head: headOf(of), parts: [...encodeParts(of)] })]

test('a table is acknowledged once it serves', async () => {
  await control.hello()
  const next = table('a.test')
  control.send(...inParts(next))
  await until('an answer', () => control.answers().length === 1)
  expect(control.answers()).toEqual([{ type: 'ack', version: next.version }])
  expect(applied).toEqual(['a.test'])
})

test('a table that breaks off with its connection leaves the one before, and is taken whole from the next', async () => {
  await control.hello()
  const next = table('a.test')
  control.send(...inParts(next).slice(0, -1))
  const again = control.hello()
  control.socket?.end()
  await again
  expect(applied).toEqual([])
  control.send(...inParts(next))
  await until('an answer', () => control.answers().length === 1)
  expect(applied).toEqual(['a.test'])
})

test('a table that another follows before its end is not applied', async () => {
  await control.hello()
  control.send(...inParts(table('cut.test')).slice(0, -1), ...inParts(table('next.test')))
  await until('an answer', () => control.answers().length === 1)
  expect(applied).toEqual(['next.test'])
})

test('of the tables that come while one is being applied only the newest is applied', async () => {
  await control.hello()
  let release = () => {}
  held = new Promise((resolve) => {
    release = resolve
  })
  const tables = ['a.test', 'b.test', 'c.test', 'd.test'].map(table)
  control.send(...tables.flatMap(inParts))
  // Answered in the order in which it was read: all of them are here now.
  control.send(encodeFrame({ type: 'in-flight', requestId: 1, instanceIds: [] }))
  await until('all are read', () => control.said.some(({ type }) => type === 'in-flight'))
  release()
  await until('two answers', () => control.answers().length === 2)
  expect(applied).toEqual(['a.test', 'd.test'])
  expect(control.answers()).toEqual([tables[0], tables[3]].map((one) => ({ type: 'ack', version: one?.version })))
})

test('what applying a table asks for is answered while it waits', async () => {
  await control.hello()
  held = link.ask('wake', { deploymentId: 'd' }, 10_000).then(() => {})
  control.send(...inParts(table('a.test')))
  await until('it asks', () => control.said.some(({ type }) => type === 'ask'))
  control.send(encodeFrame({ type: 'ask-answer', requestId: 1, answer: { accepted: true } }))
  await until('an answer', () => control.answers().length === 1)
  expect(applied).toEqual(['a.test'])
})

test('a table that is invalid is refused with its first faults, and so is no other', async () => {
  await control.hello()
  const bad = tableOf([routeTo('a.test', [{ instanceId: 'i', host: 'localhost', port: 0 }])])
  const good = table('b.test')
  control.send(...inParts(bad), ...inParts(good))
  await until('two answers', () => control.answers().length === 2)
  expect(control.answers()).toEqual([
    { type: 'nack', version: bad.version, reason: expect.stringMatching(/routes\.0\.targets\.0\.host.*routes\.0\.targets\.0\.port/) },
    { type: 'ack', version: good.version },
  ])
})

test('a table that serves already is acknowledged again without being made anew', async () => {
  await control.hello()
  const next = table('a.test')
  control.send(...inParts(next), ...inParts(next))
  await until('two answers', () => control.answers().length === 2)
  control.send(...inParts(next))
  await until('a third', () => control.answers().length === 3)
  expect(control.answers().every(({ type }) => type === 'ack')).toBe(true)
  expect(new Set(applied).size).toBe(1)
})

test('everything else has its turn while a large table comes', async () => {
  await control.hello()
  const next = tableOf(
    Array.from({ length: 20_000 }, (_, i) => routeTo(`shop-${i}.example.test`, [{ instanceId: 'i', host: '127.0.0.1', port: 80 }])),
  )
  const frames = inParts(next)
  let turns = 0
  const count = () => {
    turns++
    timer = setImmediate(count)
  }
  let timer = setImmediate(count)
  control.send(...frames)
  await until('an answer', () => control.answers().length === 1, 60_000)
  clearImmediate(timer)
  expect(serving.hosts.size).toBe(20_000)
  expect(turns).toBeGreaterThan(20)
})
