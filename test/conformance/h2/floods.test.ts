import { afterEach, describe, expect, test } from 'vitest'
import { useEngine } from '@/router/engine/contract/harness'
import { httpOrigin, rawOrigin, until } from '@/router/engine/contract/testing'
import { ErrorCode, Flag, FrameType, Setting } from '@/router/engine/http2/protocol'
import { createLeanEngine } from '@/router/engine/lean'
import { block, dataFrame, frame, H2Wire, headersFrame, requestFields, settingsPayload, word } from './wire'

const get = requestFields()
const post = requestFields('POST')
const { headers, rstStream, settings, ping, priority, windowUpdate, continuation, data, goaway } = FrameType

describe('HTTP/2 floods', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const wires: H2Wire[] = []
  afterEach(() => {
    for (const wire of wires.splice(0)) wire.close()
  })
  const open = async (port: number, pairs: [number, number][] = [], from?: string) => {
    const wire = await H2Wire.open(port, pairs, from)
    wires.push(wire)
    return wire
  }
  const edge = async () => {
    const origin = await keep(httpOrigin((_req, res) => res.end('ok')))
    return engineTo([origin.target])
  }
  /** Sends until the server says stop, and expects that it does, with the right word, while a neighbour is served. */
  const flood = async (port: number, wire: H2Wire, next: (turn: number) => Buffer, turns: number) => {
    const neighbour = await open(port)
    for (let turn = 0; turn < turns && !wire.closed; turn++) {
      wire.write(next(turn))
      if (turn % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const last = await wire.next(({ type }) => type === goaway, 5_000)
    expect(last?.payload.readUInt32BE(4)).toBe(ErrorCode.enhanceYourCalm)
    neighbour.write(headersFrame(1, get))
    expect(await neighbour.status(1)).toBe('200')
  }

  test('rapid resets end the connection, not its neighbours (CVE-2023-44487)', async () => {
    const { engine, port } = await edge()
    const wire = await open(port)
    await flood(port, wire, (turn) => Buffer.concat([headersFrame(turn * 2 + 1, get), frame(rstStream, 0, turn * 2 + 1, word(8))]), 5_000)
    await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
  })

  test('who comes back after a flood waits before anything is done for it; nobody else does', async () => {
    const { port } = await edge()
    await flood(port, await open(port), (turn) => Buffer.concat([headersFrame(turn * 2 + 1, get), frame(rstStream, 0, turn * 2 + 1, word(8))]), 5_000)
    const served: string[] = []
    const come = (from: string) => open(port, [], from).then(() => served.push(from))
    const again = come('127.0.0.1')
    for (let turn = 0; turn < 3; turn++) await come('127.0.0.2')
    await again
    expect(served).toEqual(['127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.1'])
  })

  test('who comes back after a flood is cut after little; a visitor from the same address is served and may leave a page', async () => {
    const { port } = await edge()
    const reset = (turn: number) => Buffer.concat([headersFrame(turn * 2 + 1, get), frame(rstStream, 0, turn * 2 + 1, word(8))])
    await flood(port, await open(port), reset, 5_000)
    const visitor = await open(port)
    for (let turn = 0; turn < 10; turn++) visitor.write(reset(turn))
    visitor.write(headersFrame(21, get))
    expect(await visitor.status(21)).toBe('200')
    const again = await open(port)
    for (let turn = 0; turn < 100; turn++) again.write(reset(turn))
    const last = await again.next(({ type }) => type === goaway, 5_000)
    expect(last?.payload.readUInt32BE(4)).toBe(ErrorCode.enhanceYourCalm)
  })

  test('a request that is reset in the same breath reaches no instance; its neighbours of that breath do, bodies and all', async () => {
    const asked: string[] = []
    const origin = await keep(
      httpOrigin((req, res) => {
        req.setEncoding('utf8')
        let body = ''
        req.on('data', (text: string) => {
          body += text
        })
        req.on('end', () => {
          asked.push(`${req.url} ${body}`)
          res.end('ok')
        })
      }),
    )
    const { port } = await engineTo([origin.target])
    const wire = await open(port)
    const cancel = (id: number) => frame(rstStream, 0, id, word(8))
    const at = (path: string, method?: string) => requestFields(method, path)
    wire.write(
      Buffer.concat([
        headersFrame(1, at('/one')),
        headersFrame(3, at('/two')),
        headersFrame(5, at('/three', 'POST'), Flag.endHeaders),
        cancel(1),
        cancel(3),
        dataFrame(5, 'some', 0),
        headersFrame(7, at('/four')),
        dataFrame(5, ' body'),
        headersFrame(9, at('/five')),
        cancel(9),
      ]),
    )
    expect(await wire.status(5)).toBe('200')
    expect(await wire.status(7)).toBe('200')
    expect(asked.toSorted()).toEqual(['/four ', '/three some body'])
    expect(origin.accepted()).toBe(2)
    expect(await wire.alive()).toBe(true)
  })

  test('streams that the client makes us reset count the same (CVE-2025-8671)', async () => {
    const { port } = await edge()
    const wire = await open(port)
    await flood(
      port,
      wire,
      (turn) => Buffer.concat([headersFrame(turn * 2 + 1, post, Flag.endHeaders), frame(windowUpdate, 0, turn * 2 + 1, word(0))]),
      5_000,
    )
  })

  test('malformed requests one after the other', async () => {
    const { port } = await edge()
    const wire = await open(port)
    await flood(port, wire, (turn) => headersFrame(turn * 2 + 1, [...get, ['X-UPPER', 'y']]), 5_000)
  })

  test.each([
    ['PING', () => frame(ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', () => frame(settings, 0, 0, settingsPayload([[Setting.initialWindowSize, 70_000]]))],
    ['PRIORITY', (turn: number) => frame(priority, 0, (turn % 1_000) * 2 + 1, Buffer.alloc(5))],
    ['unknown frames', () => frame(0xee, 0, 0, Buffer.alloc(16))],
    ['WINDOW_UPDATE', () => frame(windowUpdate, 0, 0, word(1))],
  ])('%s without end', async (_what, next) => {
    const { port } = await edge()
    await flood(port, await open(port), next, 20_000)
  })

  test('empty DATA without end', async () => {
    const origin = await keep(rawOrigin(() => {}))
    const quiet = await keep(httpOrigin((_req, res) => res.end('ok')))
    const { port } = await engineTo([origin.target])
    const { port: other } = await engineTo([quiet.target])
    const wire = await open(port)
    wire.write(headersFrame(1, post, Flag.endHeaders))
    await flood(other, wire, () => dataFrame(1, '', 0), 20_000)
  })

  test('CONTINUATION without end, empty or full (CVE-2024-27316)', async () => {
    const { port } = await edge()
    for (const fragment of [Buffer.alloc(0), Buffer.alloc(4_000, 0x82)]) {
      const wire = await open(port)
      wire.write(frame(headers, Flag.endStream, 1, block(get)))
      await flood(port, wire, () => frame(continuation, 0, 1, fragment), 2_000)
    }
  })

  test('a header bomb (one entry named thousands of times) is 431 and costs no memory', async () => {
    const { port } = await edge()
    const wire = await open(port)
    const entry = Buffer.concat([Buffer.from([0x40, 3]), Buffer.from('x-b'), Buffer.from([127, 0x81, 0x1e]), Buffer.alloc(3_968, 0x61)])
    const before = process.memoryUsage().rss
    for (let turn = 0; turn < 40; turn++)
      wire.write(
        frame(
          headers,
          Flag.endHeaders | Flag.endStream,
          turn * 2 + 1,
          Buffer.concat([block(get), turn === 0 ? entry : Buffer.alloc(0), Buffer.alloc(12_000, 0x80 | 62)]),
        ),
      )
    expect(await wire.status(79, 5_000)).toBe('431')
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024)
  })

  test('a client that reads nothing is not read either, and is let go', { timeout: 20_000 }, async () => {
    const body = Buffer.alloc(100_000, 1)
    const origin = await keep(httpOrigin((_req, res) => res.end(body)))
    const { engine, port } = await engineTo([origin.target], { clientIdleTimeoutMs: 600 })
    const wire = await open(port, [[Setting.initialWindowSize, 0x7fffffff]])
    wire.write(frame(windowUpdate, 0, 0, word(0x7fff0000 - 65_535)))
    wire.socket.pause()
    for (let i = 0; i < 400; i++) wire.write(headersFrame(i * 2 + 1, get))
    await until('the requests arrive', () => origin.accepted() > 0)
    const neighbour = await open(port)
    neighbour.write(headersFrame(1, get))
    expect(await neighbour.status(1)).toBe('200')
    await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
    wire.socket.resume()
    await until('the connection is cut', () => wire.closed)
  })

  test('a window of zero holds little, and not for ever', { timeout: 20_000 }, async () => {
    const body = Buffer.alloc(20_000_000, 1)
    const origin = await keep(httpOrigin((_req, res) => res.end(body)))
    const { engine, port } = await engineTo([origin.target], { clientIdleTimeoutMs: 600 })
    const wire = await open(port, [[Setting.initialWindowSize, 0]])
    const before = process.memoryUsage().rss
    for (let i = 0; i < 20; i++) wire.write(headersFrame(i * 2 + 1, get))
    await until('all are in flight', () => engine.inFlight(['app']).app === 20)
    expect(process.memoryUsage().rss - before).toBeLessThan(700 * 1024 * 1024)
    await until('all were given up', () => engine.inFlight(['app']).app === 0)
    await until('the client was told', () => wire.frames.filter(({ type }) => type === rstStream).length === 20)
    expect(wire.frames.some(({ type, payload }) => type === data && payload.length > 0)).toBe(false)
    expect(await wire.alive()).toBe(true)
  })

  test('a head that drips in, and a preface that never comes, end after the time for a head', async () => {
    const { port } = await edge()
    const slow = await open(port)
    slow.write(headersFrame(1, get).subarray(0, 12))
    const silent = await H2Wire.connect(port)
    wires.push(silent)
    silent.write(Buffer.from('PRI * HTTP/2.0\r\n'))
    const halfBlock = await open(port)
    halfBlock.write(frame(headers, Flag.endStream, 1, block(get)))
    for (const wire of [slow, silent, halfBlock]) await until('the connection ends', () => wire.closed)
  })
})
