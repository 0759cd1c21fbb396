import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { encodeFrame } from '@/shared/node/frames'
import { LinkHub } from './hub'

/** What the hub takes from a router, which is another process, maybe of another version, maybe not well. */

const MiB = 1024 * 1024
/** As in `hub.ts`. */
const maxFrameBytes = 16 * MiB

let home: string
let hub: LinkHub
let told: string[]
let sockets: net.Socket[]

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-guard-'))
  told = []
  sockets = []
  hub = new LinkHub({
    socketPath: path.join(home, 'edge.sock'),
    expectedWorkers: 1,
    log: { info: () => {}, warn: (_fields, message) => told.push(message) },
  })
  await hub.start()
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await hub.close()
  await rm(home, { recursive: true, force: true })
})

async function worker(workerId: number): Promise<net.Socket> {
  const socket = net.connect(path.join(home, 'edge.sock')).resume()
  // The hub may hang up while we write.
  socket.on('error', () => {})
  sockets.push(socket)
  socket.write(encodeFrame({ type: 'hello', workerId, pid: 1, version: 0, listening: true }))
  await vi.waitFor(() => expect(ids()).toContain(workerId), 10_000)
  return socket
}
const ids = () => hub.status().workers.map((one) => one.workerId)
const report = (text: string) => ({ type: 'report', kind: 'health', report: { text } })
const overhead = encodeFrame(report('')).length

/** It is closed, told, and nobody's but this worker's. */
async function expectAlone(bad: net.Socket, send: () => void): Promise<void> {
  const neighbour = await worker(7)
  const closed = new Promise((resolve) => bad.once('close', resolve))
  send()
  await closed
  await vi.waitFor(() => expect(ids()).toEqual([7]), 10_000)
  expect(told).toContain('unreadable message from a router: connection closed')
  const heard = new Promise<unknown>((resolve) => hub.messages.onReport('health', resolve))
  neighbour.write(encodeFrame(report('still here')))
  expect(await heard).toEqual({ text: 'still here' })
}

describe('a message of a router', () => {
  test('as long as it may be is read, in whatever pieces it comes', async () => {
    const socket = await worker(0)
    const heard = new Promise<unknown>((resolve) => hub.messages.onReport('health', resolve))
    const text = 'x'.repeat(maxFrameBytes - overhead)
    const frame = Buffer.from(encodeFrame(report(text)))
    expect(frame.length).toBe(maxFrameBytes)
    for (let at = 0; at < frame.length; at += 100_003) socket.write(frame.subarray(at, at + 100_003))
    expect(await heard).toEqual({ text })
    expect(ids()).toEqual([0])
  })

  test('that is longer by one byte costs its connection, and nobody else’s', async () => {
    const socket = await worker(0)
    await expectAlone(socket, () => socket.write(encodeFrame(report('x'.repeat(maxFrameBytes - overhead + 1)))))
  })

  test('that never ends is given up at the bound, not kept', async () => {
    const socket = await worker(0)
    let sent = 0
    const part = Buffer.alloc(MiB, 'x')
    const pour = () => {
      while (!socket.destroyed && socket.write(part)) sent += part.length
      sent += part.length
    }
    socket.on('drain', pour)
    await expectAlone(socket, pour)
    // What the kernel holds between the two, and no more.
    expect(sent).toBeLessThan(2 * maxFrameBytes)
  })

  test.each([
    ['is no JSON', 'GET / HTTP/1.1\r\n'],
    ['is JSON and no message', '[1, 2]\n'],
    ['is of a known kind and says something else', encodeFrame({ type: 'ack', version: 'newest' })],
    ['has a worker number that cannot be', encodeFrame({ type: 'hello', workerId: -1, pid: 1, version: 0, listening: true })],
    ['has bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x0a])],
  ])('that %s costs its connection, and nobody else’s', async (_, bytes) => {
    const socket = await worker(0)
    await expectAlone(socket, () => socket.write(bytes))
  })

  test('of a kind nobody knows is passed over however often it comes, and what follows is read', async () => {
    const socket = await worker(0)
    const heard = new Promise<unknown>((resolve) => hub.messages.onReport('health', resolve))
    for (let i = 0; i < 1_000; i++) socket.write(encodeFrame({ type: `of-${i}`, padding: 'x'.repeat(1_000) }))
    socket.write('\n  \n')
    socket.write(encodeFrame(report('after it')))
    expect(await heard).toEqual({ text: 'after it' })
    expect(ids()).toEqual([0])
    expect(new Set(told)).toEqual(new Set(['message of an unknown kind from a router ignored']))
  })
})

test('who says nothing, or speaks before the hello, is no worker', async () => {
  const silent = net.connect(path.join(home, 'edge.sock')).resume()
  sockets.push(silent)
  silent.write(encodeFrame({ type: 'ack', version: 99 }))
  await worker(0)
  expect(ids()).toEqual([0])
  await expect(
    hub.publish({ version: 1, generatedAt: new Date().toISOString(), dashboardUrl: 'http://localhost:3000', routes: [] }, { deadlineMs: 300 }),
  ).rejects.toMatchObject({ code: 'ERR_CUTOVER', message: expect.stringContaining('0 (pid 1)') })
})
