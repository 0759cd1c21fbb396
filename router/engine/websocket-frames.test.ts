import { expect, test } from 'vitest'
import { FrameBoundary, restartFrame } from './websocket-frames'

const frame = (size: number, mask = false): Buffer => {
  const head = size < 126 ? Buffer.from([0x82, size]) : size < 65_536 ? Buffer.from([0x82, 126, 0, 0]) : Buffer.alloc(10)
  if (size >= 126 && size < 65_536) head.writeUInt16BE(size, 2)
  if (size >= 65_536) {
    head[0] = 0x82
    head[1] = 127
    head.writeBigUInt64BE(BigInt(size), 2)
  }
  if (mask) head[1] = (head[1] ?? 0) | 0x80
  return Buffer.concat([head, Buffer.alloc(mask ? 4 : 0, 1), Buffer.alloc(size, 0x88)])
}

test('the end of each frame is found, whatever its length and whatever pieces it comes in', () => {
  const frames = [frame(0), frame(1), frame(125), frame(126), frame(65_535), frame(70_000), frame(0, true), frame(300, true)]
  const all = Buffer.concat(frames)
  for (const piece of [1, 2, 3, 7, 1_000, all.length]) {
    const boundary = new FrameBoundary()
    const ends: number[] = []
    for (let start = 0; start < all.length; start += piece)
      for (let at = start; at < Math.min(start + piece, all.length); ) {
        at = boundary.take(all, at, Math.min(start + piece, all.length), true)
        if (boundary.between) ends.push(at)
      }
    let end = 0
    expect(ends).toEqual(frames.map((one) => (end += one.length)))
  }
})

test('bytes in the middle of a frame are not between two', () => {
  const boundary = new FrameBoundary()
  expect(boundary.between).toBe(true)
  const bytes = frame(200)
  boundary.take(bytes, 0, 100)
  expect(boundary.between).toBe(false)
  boundary.take(bytes, 100, bytes.length)
  expect(boundary.between).toBe(true)
})

test('the close frame is one whole unmasked control frame with code 1012', () => {
  expect(restartFrame[0]).toBe(0x88)
  expect(restartFrame[1]).toBe(restartFrame.length - 2)
  expect(restartFrame.length).toBeLessThanOrEqual(127)
  expect(restartFrame.readUInt16BE(2)).toBe(1012)
})
