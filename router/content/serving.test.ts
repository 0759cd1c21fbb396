/** Files and kept answers through both engines, as a client sees them on the wire. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Route } from '@/shared/route-table'
import { type AnswerSources, createAnswerSources } from '../cache/answer-sources'
import { useEngine } from '../engine/contract/harness'
import { hostTable, openServices, quietLog, routeTo } from '../engine/contract/testing'
import { createHttpProxyEngine } from '../engine/http-proxy/engine'
import { createLeanEngine } from '../engine/lean'
import { createGate } from '../gate/create-gate'

const big = Buffer.from(Array.from({ length: 1_500_000 }, (_, at) => (at * 31 + (at >> 8)) & 255))
let home: string
let directory: string
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-serving-'))
  directory = path.join(home, 'site')
  await mkdir(directory)
  await writeFile(path.join(directory, 'index.html'), '<h1>home</h1>')
  await writeFile(path.join(directory, 'big.bin'), big)
  await writeFile(path.join(directory, '404.html'), 'nothing')
})
afterAll(() => rm(home, { recursive: true, force: true }))

interface Got {
  status: number
  headers: http.IncomingHttpHeaders
  body: Buffer
}

describe.each([
  ['lean', createLeanEngine],
  ['http-proxy', createHttpProxyEngine],
] as const)('the %s engine', (_name, createEngine) => {
  const { keep, engineWith } = useEngine(createEngine)

  async function edge(routes: Route[]): Promise<{ port: number; parts: AnswerSources }> {
    const table = hostTable(routes)
    const { targets } = openServices(table)
    const parts = createAnswerSources({ table, targets, home, log: quietLog })
    await keep({ close: async () => parts.close() })
    const gate = createGate({ table, log: quietLog, content: parts.content, cache: parts.cache, compressor: parts.compressor })
    await keep({ close: async () => gate.close() })
    const { port } = await engineWith(routes, {}, { gate, targets })
    return { port, parts }
  }
  const site = (): Route => ({ ...routeTo('app.test', []), state: 'live', content: { digest: 'sha256:1', directory, spa: false } })
  const servers = new Set<http.Server>()
  const stop = (server: http.Server) =>
    new Promise<void>((resolve) => {
      servers.delete(server)
      server.close(() => resolve())
      server.closeAllConnections()
    })
  async function app(handler: http.RequestListener): Promise<Route> {
    const server = http.createServer(handler)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.add(server)
    await keep({ close: () => stop(server) })
    return routeTo('app.test', [{ instanceId: 'i', host: '127.0.0.1', port: (server.address() as { port: number }).port }])
  }
  const ask = (port: number, target: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> =>
    new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', path: target, method, headers: { Host: 'app.test', ...headers } }, async (response) => {
        try {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) })
        } catch (error) {
          reject(error)
        }
      })
      request.once('error', reject)
      request.end()
    })

  test('a large file arrives whole, and its ranges together are the file', async () => {
    const { port } = await edge([site()])
    const whole = await ask(port, '/big.bin')
    expect(whole.headers['content-length']).toBe(String(big.length))
    expect(whole.body.equals(big)).toBe(true)
    const parts: Buffer[] = []
    for (let at = 0; at < big.length; at += 400_000) {
      const part = await ask(port, '/big.bin', { range: `bytes=${at}-${at + 399_999}`, 'if-range': whole.headers.etag ?? '' })
      expect(part.status).toBe(206)
      parts.push(part.body)
    }
    expect(Buffer.concat(parts).equals(big)).toBe(true)
    const apart = await ask(port, '/big.bin', { range: 'bytes=0-99,1000000-1999999' })
    expect(apart).toMatchObject({ status: 206, headers: { 'content-length': String(apart.body.length) } })
    expect(apart.body.includes(big.subarray(1_000_000, 2_000_000))).toBe(true)
    const head = await ask(port, '/big.bin', {}, 'HEAD')
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(big.length) } })
    expect(head.body).toHaveLength(0)
  })

  test('conditions, a missing page, and methods that change nothing here', async () => {
    const { port } = await edge([site()])
    const { etag = '' } = (await ask(port, '/')).headers
    const same = await ask(port, '/', { 'if-none-match': etag })
    expect(same).toMatchObject({ status: 304, headers: { etag } })
    expect(await ask(port, '/', { range: 'bytes=99-' })).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */13' } })
    expect(await ask(port, '/', { 'if-match': '"x"' })).toMatchObject({ status: 412 })
    const missing = await ask(port, '/missing')
    expect(missing.status).toBe(404)
    expect(missing.body.toString()).toBe('nothing')
    const posted = await ask(port, '/', {}, 'POST')
    expect(posted).toMatchObject({ status: 405, headers: { allow: expect.stringContaining('GET') } })
    for (const outside of ['/%2e%2e/site/index.html', '/..%2f..%2fetc%2fpasswd', '/.%00', '/big.bin%00'])
      expect((await ask(port, outside)).status).toBeGreaterThanOrEqual(400)
  })

  test('an instance’s answer is asked for once, compressed for who takes it, and gone after a purge', async () => {
    const text = 'a line of text that shrinks well\n'.repeat(500)
    let asked = 0
    const route = await app((request, response) => {
      asked++
      response.setHeader('Content-Type', 'text/plain')
      if (request.url !== '/private') response.setHeader('Cache-Control', 's-maxage=60')
      response.setHeader('Cache-Tag', 'lines')
      response.setHeader('ETag', '"1"')
      response.end(text)
    })
    const { port, parts } = await edge([route])
    const first = await ask(port, '/', { 'accept-encoding': 'br' })
    expect(first.headers).toMatchObject({
      'content-encoding': 'br',
      etag: 'W/"1"',
      vary: 'Accept-Encoding',
      'cache-status': expect.stringContaining('stored'),
    })
    expect(brotliDecompressSync(first.body).toString()).toBe(text)
    const second = await ask(port, '/')
    expect(second.headers).toMatchObject({ 'cache-status': expect.stringMatching(/^switchyard; hit/), age: expect.any(String), etag: '"1"' })
    expect(second.body.toString()).toBe(text)
    expect(await ask(port, '/', { 'if-none-match': '"1"' })).toMatchObject({ status: 304 })
    expect((await ask(port, '/', { range: 'bytes=2-5' })).body.toString()).toBe('line')
    expect(asked).toBe(1)
    expect(await parts.purge({ projectId: route.projectId, tags: ['lines'] })).toEqual({ entries: 1 })
    await ask(port, '/')
    expect(asked).toBe(2)
    await ask(port, '/', {}, 'POST')
    await ask(port, '/')
    expect(asked).toBe(4)
    for (let i = 0; i < 3; i++) {
      const own = await ask(port, '/private', { 'accept-encoding': 'gzip' })
      expect(gunzipSync(own.body).toString()).toBe(text)
      expect(own.headers['cache-status']).toBeUndefined()
    }
    expect(asked).toBe(7)
  })

  test('twenty who miss at once are one request; a stale answer is renewed by a 304', async () => {
    let asked = 0
    let unchanged = 0
    const route = await app((request, response) => {
      asked++
      response.setHeader('Cache-Control', 's-maxage=1')
      response.setHeader('ETag', '"1"')
      if (request.headers['if-none-match'] === '"1"') {
        unchanged++
        response.writeHead(304).end()
      } else setTimeout(() => response.end('slow'), 100)
    })
    const { port } = await edge([route])
    const all = await Promise.all(Array.from({ length: 20 }, () => ask(port, '/slow')))
    expect(all.map(({ body }) => body.toString())).toEqual(Array(20).fill('slow'))
    expect(asked).toBe(1)
    await expect.poll(async () => (await ask(port, '/slow')).headers['cache-status'], { timeout: 5_000, interval: 200 }).toContain('fwd-status=304')
    expect(unchanged).toBe(1)
    expect((await ask(port, '/slow')).body.toString()).toBe('slow')
  })

  test('an instance that breaks off midway leaves nothing behind; one that is gone is covered by what may be stale', async () => {
    let broken = true
    const route = await app((_request, response) => {
      response.setHeader('Cache-Control', 's-maxage=1, stale-if-error=60')
      if (!broken) return void response.end('whole')
      response.writeHead(200, { 'Content-Length': '100' })
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    })
    const { port } = await edge([route])
    await expect(ask(port, '/')).rejects.toThrow()
    broken = false
    expect((await ask(port, '/')).body.toString()).toBe('whole')
    await Promise.all([...servers].map(stop))
    // Fresh for a second; then the instance would be asked, and nobody is there.
    await expect
      .poll(async () => (await ask(port, '/')).headers['cache-status'], { timeout: 5_000, interval: 200 })
      .toMatch(/^switchyard; hit; ttl=-/)
    expect(await ask(port, '/other')).toMatchObject({ status: 502 })
  })
})
