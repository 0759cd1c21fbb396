import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { encodeFrame } from '@/shared/node/frames'
import { LinkHub } from './hub'

test('a message of a kind that only a newer router knows does not cost the connection', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'switchyard-hub-'))
  const socketPath = path.join(home, 'edge.sock')
  const told: string[] = []
  const hub = new LinkHub({ socketPath, expectedWorkers: 1, log: { info: () => {}, warn: (_fields, message) => told.push(message) } })
  await hub.start()
  const reported = new Promise<unknown>((resolve) => hub.messages.onReport('health', resolve))
  const socket = net.connect(socketPath)
  try {
    socket.write(encodeFrame({ type: 'hello', workerId: 0, pid: 1, version: 0, listening: true }))
    socket.write(encodeFrame({ type: 'of-next-year', what: 1 }))
    socket.write(encodeFrame({ type: 'report', kind: 'health', report: { events: [] } }))
    expect(await reported).toEqual({ events: [] })
    expect(told).toEqual(['message of an unknown kind from a router ignored'])
    expect(hub.status().workers).toHaveLength(1)
  } finally {
    socket.destroy()
    await hub.close()
    await rm(home, { recursive: true, force: true })
  }
})

test('a message that is none closes the connection', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'switchyard-hub-'))
  const socketPath = path.join(home, 'edge.sock')
  const hub = new LinkHub({ socketPath, expectedWorkers: 1 })
  await hub.start()
  const socket = net.connect(socketPath)
  const closed = new Promise((resolve) => socket.on('close', resolve).resume())
  socket.write(encodeFrame({ type: 'hello' }))
  await closed
  await hub.close()
  await rm(home, { recursive: true, force: true })
})
