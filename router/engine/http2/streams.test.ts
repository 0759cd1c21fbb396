import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { slowReaders } from '../io/load-gauge'
import { FloodGuard } from './flood'
import { Output } from './output'
import { defaultWindow, ErrorCode } from './protocol'
import { H2Stream } from './stream'
import { StreamSet } from './streams'

const answer = Buffer.alloc(1_000)

function streamsOf() {
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  const streams = new StreamSet(new Output(socket as Socket), new FloodGuard(false), () => {})
  const open = (id: number) => {
    const stream = new H2Stream(streams, id, defaultWindow, true, -1, 0)
    streams.add(stream)
    return stream
  }
  return { streams, open }
}

test('answers that wait for a window that never opens are forgotten with their streams', () => {
  const { streams, open } = streamsOf()
  open(1).write(Buffer.alloc(defaultWindow), 0, defaultWindow, false)
  for (let id = 3; id < 2_003; id += 2) {
    const stream = open(id)
    expect(stream.write(answer, 0, answer.length, true)).toBe(false)
    streams.resetStream(stream, ErrorCode.cancel)
  }
  expect(streams.waiting).toBe(0)
  const other = open(2_003)
  other.write(answer, 0, answer.length, true)
  expect(streams.waiting).toBe(1)
  streams.openWindow(10_000)
  streams.pump(1)
  expect([streams.waiting, other.localOpen]).toEqual([0, false])
})

test('a stream that goes while others are served is not put back among those that wait', () => {
  const { streams, open } = streamsOf()
  open(1).write(Buffer.alloc(defaultWindow), 0, defaultWindow, false)
  const [first, second, third] = [open(3), open(5), open(7)]
  for (const stream of [first, second, third]) stream.write(answer, 0, answer.length, false)
  first.taker = {
    takeBody: () => true,
    takeEnd: () => {},
    onAbort: () => {},
    onSilence: () => {},
    onSent: () => streams.resetStream(second, ErrorCode.cancel),
  }
  streams.openWindow(answer.length)
  streams.pump(1)
  expect(streams.waiting).toBe(1)
  streams.openWindow(answer.length)
  streams.pump(2)
  expect(streams.waiting).toBe(0)
  expect(third.bytesOut).toBeGreaterThanOrEqual(answer.length)
})

test('streams that hold bytes for slow clients are a crowd, for which less is read at once', () => {
  const { streams, open } = streamsOf()
  open(1).write(Buffer.alloc(defaultWindow), 0, defaultWindow, false)
  const slow = Array.from({ length: 300 }, (_, i) => open(2 * i + 3))
  for (const stream of slow) stream.write(answer, 0, answer.length, true)
  expect(slowReaders.overloaded).toBe(true)
  for (const stream of slow.splice(0, 100)) streams.resetStream(stream, ErrorCode.cancel)
  expect(slowReaders.overloaded).toBe(false)
  for (const stream of slow.slice(0, 100)) streams.resetStream(stream, ErrorCode.cancel)
  streams.openWindow(1_000_000)
  streams.pump(1)
  const rest = Array.from({ length: 256 }, (_, i) => open(2 * i + 1_003))
  streams.openWindow(-1_000_000)
  for (const stream of rest) stream.write(answer, 0, answer.length, false)
  expect(slowReaders.overloaded).toBe(false)
  const held = open(9_001)
  held.write(answer, 0, answer.length, true, true)
  expect(slowReaders.overloaded).toBe(false)
  streams.abandonAll()
  expect(slowReaders.overloaded).toBe(false)
})
