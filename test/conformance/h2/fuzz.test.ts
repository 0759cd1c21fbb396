import { afterEach, describe, expect, test } from 'vitest'
import { useEngine } from '@/router/engine/contract/harness'
import { httpOrigin } from '@/router/engine/contract/testing'
import { clientPreface, Flag, FrameType } from '@/router/engine/http2/protocol'
import { createLeanEngine } from '@/router/engine/lean'
import { block, dataFrame, frame, H2Wire, headersFrame, requestFields, settingsPayload, word } from './wire'

/** A generator that gives the same numbers for the same seed, so that a failure can be seen again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const get = requestFields()
const post = requestFields('POST')

/** A conversation that is right in every word. */
function conversation(next: (below: number) => number): Buffer[] {
  const frames = [frame(FrameType.settings, 0, 0, settingsPayload([[4, 1 + next(100_000)]])), frame(FrameType.settings, Flag.ack, 0)]
  for (let id = 1; id < 2 + next(30); id += 2) {
    const kind = next(5)
    if (kind === 0) frames.push(headersFrame(id, get))
    else if (kind === 1) frames.push(headersFrame(id, post, Flag.endHeaders), dataFrame(id, Buffer.alloc(next(3_000)), 0), dataFrame(id, 'x'))
    else if (kind === 2)
      frames.push(
        frame(FrameType.headers, Flag.endStream, id, block(get.slice(0, 2))),
        frame(FrameType.continuation, Flag.endHeaders, id, block(get.slice(2))),
      )
    else if (kind === 3) frames.push(headersFrame(id, get), frame(FrameType.rstStream, 0, id, word(8)))
    else
      frames.push(
        headersFrame(id, post, Flag.endHeaders),
        headersFrame(id, [['x-trailer', 'y']]),
        frame(FrameType.windowUpdate, 0, 0, word(1 + next(1_000))),
      )
    if (next(4) === 0) frames.push(frame(FrameType.ping, 0, 0, Buffer.alloc(8)))
  }
  return frames
}

/** The same with bits, bytes, lengths and frames wrong, doubled, lost or exchanged. */
function mutate(frames: Buffer[], next: (below: number) => number): Buffer {
  const list: Buffer[] = frames.map((bytes) => Buffer.from(bytes))
  for (let i = 1 + next(4); i > 0; i--) {
    const at = next(list.length)
    const bytes = list[at] as Buffer
    const where = next(bytes.length)
    switch (next(7)) {
      case 0:
        bytes[where] = (bytes[where] as number) ^ (1 << next(8))
        break
      case 1:
        bytes[next(Math.min(9, bytes.length))] = next(256)
        break
      case 2:
        list.splice(at, 1, bytes, Buffer.from(bytes))
        break
      case 3:
        if (list.length > 1) list.splice(at, 1)
        break
      case 4:
        list[at] = bytes.subarray(0, Math.max(1, where))
        break
      case 5:
        list.splice(next(list.length), 0, frame(next(12), next(256), next(40), Buffer.from(Array.from({ length: next(60) }, () => next(256)))))
        break
      default:
        list.push(list.splice(at, 1)[0] as Buffer)
    }
  }
  return Buffer.concat(list)
}

describe('HTTP/2 under random bytes', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const wires: H2Wire[] = []
  afterEach(() => {
    for (const wire of wires.splice(0)) wire.close()
  })

  test('1,500 conversations gone wrong: no crash, nothing left open, the neighbour is served', { timeout: 120_000 }, async () => {
    const heads: string[] = []
    const origin = await keep(
      httpOrigin((req, res) => {
        heads.push(`${req.method} ${req.headers.host}`)
        req.resume()
        res.end('ok')
      }),
    )
    const { engine, port } = await engineTo([origin.target])
    const faults: unknown[] = []
    const note = (error: unknown) => faults.push(error)
    process.on('uncaughtException', note)
    const neighbour = await H2Wire.open(port)
    wires.push(neighbour)
    const before = process.memoryUsage().rss
    for (let seed = 1; seed <= 1_500; seed++) {
      const next = random(seed)
      const bytes = mutate(conversation(next), next)
      const wire = await H2Wire.connect(port)
      wire.write(clientPreface)
      // In pieces, so that every boundary is cut somewhere.
      for (let at = 0; at < bytes.length; ) {
        const size = next(3) === 0 ? 1 + next(12) : bytes.length - at
        wire.write(bytes.subarray(at, at + size))
        at += size
        if (next(8) === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await wire.alive(15)
      wire.close()
      if (seed % 100 === 0) {
        neighbour.write(headersFrame(seed * 2 + 1, get))
        expect(await neighbour.status(seed * 2 + 1)).toBe('200')
      }
    }
    process.off('uncaughtException', note)
    expect(faults).toEqual([])
    expect(heads.length).toBeGreaterThan(300)
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024)
    await expect.poll(() => engine.inFlight(['app'])).toEqual({ app: 0 })
  })
})
