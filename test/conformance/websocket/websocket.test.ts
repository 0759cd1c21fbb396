import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { type HttpOrigin, hostTable, httpOrigin, openServices, quietLog, routeTo, testLimits } from '@/router/engine/contract/testing'
import type { Engine, EngineFactory } from '@/router/engine/engine'
import { createHttpProxyEngine } from '@/router/engine/http-proxy/engine'
import { createLeanEngine } from '@/router/engine/lean'
import { type WsCase, webSocketCases } from './cases'
import { closeFrame, WsWire } from './wire'

const engines: [string, EngineFactory][] = [
  ['http-proxy', createHttpProxyEngine],
  ['lean', createLeanEngine],
]

/** Plays a case and writes down how the other side behaved to the end of the connection. */
async function play(port: number, one: WsCase): Promise<string[]> {
  const wire = await WsWire.open(port)
  try {
    for (const bytes of one.send) {
      const size = one.chop ?? bytes.length
      for (let at = 0; at < bytes.length; at += size) wire.socket.write(bytes.subarray(at, at + size))
    }
    if (one.ends === 'clean') wire.socket.write(closeFrame(1000))
    await wire.until(() => wire.closeReceived || wire.closed)
    // A server that refused waits for our half of the close, as the protocol asks (RFC 6455 §5.5.1).
    if (one.ends !== 'clean' && !wire.closed) wire.socket.write(closeFrame(1000))
    const ended = await wire.until(() => wire.closed)
    return [...wire.transcript, ended ? 'closed' : 'left open']
  } finally {
    wire.close()
  }
}

describe('WebSocket conformance: the core cases of Autobahn', () => {
  const open: { close(): Promise<void> }[] = []
  const ports: Record<string, number> = {}
  let origin: HttpOrigin
  beforeAll(async () => {
    origin = await httpOrigin((_req, res) => res.end('plain'))
    const sockets = new WebSocketServer({ server: origin.server, maxPayload: 64 * 1024 * 1024, perMessageDeflate: false })
    sockets.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
    })
    ports.direct = (origin.server.address() as AddressInfo).port
    for (const [name, create] of engines) {
      const table = hostTable([routeTo('app.test', [origin.target])])
      const engine: Engine = create({ limits: testLimits, table, log: quietLog, ...openServices(table) })
      ports[name] = (await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })).port
      open.push(engine)
    }
  })
  afterAll(async () => {
    for (const one of open) await one.close()
    await origin.close()
  })

  test('numbers are those of one case each', () => {
    expect(new Set(webSocketCases.map(({ id }) => id)).size).toBe(webSocketCases.length)
  })

  test.each(webSocketCases.map((one) => [`${one.id} ${one.title}`, one] as const))('%s', { timeout: 60_000 }, async (_name, one) => {
    const direct = await play(ports.direct as number, one)
    expect(direct.at(-1)).toBe('closed')
    if (one.ends !== 'clean') expect(direct.at(-2)).toMatch(`close ${one.ends.refused} `)
    else expect(direct.some((line) => line.startsWith('close '))).toBe(true)
    for (const [name] of engines) expect({ name, heard: await play(ports[name] as number, one) }).toEqual({ name, heard: direct })
  })
})
