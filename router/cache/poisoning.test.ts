import { afterEach, describe, expect, test } from 'vitest'
import { useEngine } from '../engine/contract/harness'
import { hostTable, httpOrigin, quietLog, rawRequest, request, routeTo } from '../engine/contract/testing'
import { createHttpProxyEngine } from '../engine/http-proxy/engine'
import { createLeanEngine } from '../engine/lean'
import { createGate } from '../gate/create-gate'
import { SharedCache } from './answer-cache'

describe.each([
  ['http-proxy', createHttpProxyEngine],
  ['lean', createLeanEngine],
])('what one visitor puts into the cache of the %s engine', (_name, createEngine) => {
  const { keep, engineTo } = useEngine(createEngine)
  const caches: SharedCache[] = []
  afterEach(() => {
    for (const cache of caches.splice(0)) cache.close()
  })
  /** An app whose page tells what it was asked with, and says that it depends on `vary`; how often it was asked. */
  const app = async (vary: string) => {
    let asked = 0
    const origin = await keep(
      httpOrigin((req, res) => {
        asked++
        const names = vary.toLowerCase().split(', ')
        res.writeHead(200, { 'Cache-Control': 's-maxage=60', Vary: vary })
        res.end(names.map((name) => `${name}=${req.headers[name] ?? 'none'}`).join())
      }),
    )
    const cache = new SharedCache({ ask: async () => null, directory: null })
    caches.push(cache)
    const gate = createGate({ table: hostTable([routeTo('app.test', [origin.target])]), log: quietLog, cache })
    const { port } = await engineTo([origin.target], {}, { gate })
    const visit = async (headers: Record<string, string> = {}) => String((await request({ port, headers })).body)
    return { visit, asked: () => asked }
  }

  test('is no page that suits nobody: a field taken away by Connection is not one the answer depends on', async () => {
    const { visit, asked } = await app('Accept-Language')
    expect(await visit({ 'accept-language': 'de', connection: 'close, Accept-Language' })).toBe('accept-language=none')
    expect(await visit({ 'accept-language': 'de' })).toBe('accept-language=de')
    expect(await visit({ 'accept-language': 'de', connection: 'close' })).toBe('accept-language=de')
    expect(asked()).toBe(2)
  })

  test.each(['X-Forwarded-For', 'X-Real-IP', 'Accept-Encoding, X-Request-Id', 'Forwarded', 'X-Forwarded-Port'])(
    'is no answer that depends on %s, which the router says',
    async (vary) => {
      const { visit, asked } = await app(vary)
      await visit()
      await visit({ 'x-forwarded-for': '6.6.6.6', 'x-real-ip': '6.6.6.6' })
      expect(asked()).toBe(2)
    },
  )

  test.each(['deflate', 'identity, gzip;q=0.5', 'gzip;q=0.1, identity;q=1', 'compress', 'dcb'])(
    'is no coding for those who take none, though it took "%s"',
    async (taken) => {
      const { visit } = await app('Accept-Encoding')
      expect(await visit({ 'accept-encoding': taken })).toBe(`accept-encoding=${taken}`)
      expect(await visit({ 'accept-encoding': 'identity' })).toBe('accept-encoding=identity')
    },
  )

  test('is no answer in a coding that no client is known to choose', async () => {
    let asked = 0
    const fields = { 'Cache-Control': 's-maxage=60', Vary: 'Accept-Encoding', 'Content-Encoding': 'x-own' }
    const origin = await keep(httpOrigin((_req, res) => res.writeHead(200, fields).end(`${++asked}`)))
    const cache = new SharedCache({ ask: async () => null, directory: null })
    caches.push(cache)
    const gate = createGate({ table: hostTable([routeTo('app.test', [origin.target])]), log: quietLog, cache })
    const { port } = await engineTo([origin.target], {}, { gate })
    await request({ port, headers: { 'accept-encoding': 'x-own' } })
    expect(String((await request({ port, headers: { 'accept-encoding': 'identity' } })).body)).toBe('2')
  })

  test('is no answer to a handshake, which is the instance’s to answer', async () => {
    const origin = await keep(httpOrigin((_req, res) => res.writeHead(200, { 'Cache-Control': 's-maxage=60' }).end('page')))
    origin.server.on('upgrade', (_req, socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
    })
    const cache = new SharedCache({ ask: async () => null, directory: null })
    caches.push(cache)
    const gate = createGate({ table: hostTable([routeTo('app.test', [origin.target])]), log: quietLog, cache })
    const { port } = await engineTo([origin.target], {}, { gate })
    expect(String((await request({ port })).body)).toBe('page')
    expect((await request({ port })).headers['cache-status']).toContain('hit')
    const handshake = 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n'
    expect(await rawRequest(port, handshake, (text) => text.endsWith('hello'))).toMatch(/^HTTP\/1.1 101 /)
  })

  test.each(['X-Forwarded-Proto', 'X-Forwarded-Host'])('depends on the true %s, whatever a visitor claims', async (vary) => {
    const { visit, asked } = await app(vary)
    const name = vary.toLowerCase()
    const honest = await visit()
    expect(await visit({ [name]: 'evil' })).toBe(honest)
    expect(asked()).toBe(1)
  })
})
