import http from 'node:http'
import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { httpOrigin, RawClient, rawRequest, request, routeTo, scriptedOrigin, until } from './testing'

export function forwardingContract(createEngine: EngineFactory): void {
  describe('forwarding', () => {
    const { keep, engineTo, engineWith } = useEngine(createEngine)
    const echo = () =>
      httpOrigin((req, res) => {
        const chunks: Buffer[] = []
        req.on('data', (chunk: Buffer) => chunks.push(chunk))
        req.on('end', () => res.end(JSON.stringify({ method: req.method, url: req.url, body: Buffer.concat(chunks).toString('base64') })))
      })

    test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('a %s body with Content-Length arrives whole', async (method) => {
      const origin = await keep(echo())
      const { port } = await engineTo([origin.target])
      const body = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251))
      const answer = await request({ port, method, path: '/a?b=c', body, headers: { 'Content-Length': body.length } })
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.body.toString())).toEqual({ method, url: '/a?b=c', body: body.toString('base64') })
    })

    test.each(['POST', 'DELETE', 'OPTIONS', 'GET'])('a chunked %s body arrives whole and still chunked', async (method) => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
      const { port } = await engineTo([origin.target])
      const raw = `${method} / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`
      expect(await rawRequest(port, raw)).toMatch(/^HTTP\/1.1 200 /)
      expect(origin.text()).toMatch(/\r\ntransfer-encoding: chunked\r\n/i)
      expect(origin.text()).not.toMatch(/\r\ncontent-length:/i)
      expect(origin.text()).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
    })

    test('a POST without a body says so', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
      const { port } = await engineTo([origin.target])
      await rawRequest(port, 'POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      expect(origin.text()).toMatch(/\r\ncontent-length: 0\r\n/i)
      expect(origin.text()).not.toMatch(/transfer-encoding/i)
    })

    test.each(['/', '//a//b/../c?x=//y&z=http://q', '/%2e%2e/%00?%zz', '/a;b=c,d\\e|f{g}', '/?'])(
      'the target %s arrives byte for byte',
      async (path) => {
        const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
        const { port } = await engineTo([origin.target])
        await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n`)
        expect(origin.text().split('\r\n')[0]).toBe(`GET ${path} HTTP/1.1`)
      },
    )

    test('a chunked answer, its trailers included, reaches the client', async () => {
      const origin = await keep(
        scriptedOrigin('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n'),
      )
      const { port } = await engineTo([origin.target])
      const answer = await request({ port })
      expect(answer.body.toString()).toBe('abc')
      expect(answer.headers['transfer-encoding']).toBe('chunked')
      expect(answer.trailers).toEqual({ 'x-sum': '6' })
    })

    test('an HTTP/1.0 client gets a chunked answer without chunks', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'))
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'GET / HTTP/1.0\r\nHost: app.test\r\n\r\n')
      expect(text).toMatch(/\r\n\r\nabc$/)
      expect(text).not.toMatch(/transfer-encoding/i)
    })

    test('HEAD: the length of the answer, no body, and the connection stays usable', async () => {
      const origin = await keep(
        scriptedOrigin((head) =>
          head.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext',
        ),
      )
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\nGET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
      expect(text).toMatch(/content-length: 5/i)
      expect(text).toMatch(/\r\n\r\nHTTP\/1.1 200 OK[\s\S]*\r\n\r\nnext$/)
    })

    test.each([204, 304])('%d has no body and the connection stays usable', async (status) => {
      const origin = await keep(
        scriptedOrigin((head) =>
          head.startsWith('GET /first') ? `HTTP/1.1 ${status} x\r\nETag: "a"\r\n\r\n` : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext',
        ),
      )
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(
        port,
        'GET /first HTTP/1.1\r\nHost: app.test\r\n\r\nGET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n',
      )
      const [first = '', second = ''] = text.split(/(?=HTTP\/1.1 200)/)
      expect(first).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      expect(first).toMatch(/etag: "a"/i)
      expect(first).not.toMatch(/transfer-encoding/i)
      expect(second).toMatch(/\r\n\r\nnext$/)
    })

    test.each([
      ['204 in chunks', '204 x\r\nTransfer-Encoding: chunked', 2],
      ['204 with a length', '204 x\r\nContent-Length: 5', 2],
      ['304 in chunks', '304 x\r\nTransfer-Encoding: chunked', 2],
      ['204 with a length of none', '204 x\r\nContent-Length: 0', 1],
      ['304 with the length of what was not changed', '304 x\r\nContent-Length: 5', 1],
    ])('%s: passes at once and without a body; a connection on which one may still come is not used again', async (_what, answer, connections) => {
      const origin = await keep(
        scriptedOrigin((head) =>
          head.startsWith('GET /first') ? `HTTP/1.1 ${answer}\r\nETag: "a"\r\n\r\n` : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext',
        ),
      )
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const client = await RawClient.connect(port)
      client.write('GET /first HTTP/1.1\r\nHost: app.test\r\n\r\n')
      const first = await client.read((text) => text.endsWith('\r\n\r\n'))
      expect(first).toMatch(new RegExp(`^HTTP/1.1 ${answer.slice(0, 3)} `))
      expect(first).toMatch(/etag: "a"/i)
      expect(first).not.toMatch(/transfer-encoding/i)
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
      if (connections === 2) await until('the connection is closed', () => origin.connections[0]?.closed === true)
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await client.read((text) => text.endsWith('\r\n\r\nnext'))
      expect(origin.connections).toHaveLength(connections)
      client.destroy()
    })

    test('repeated answer headers stay apart, in order, with their spelling', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nX-CaSe: 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n'))
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
      expect(text).toMatch(/^HTTP\/1.1 200 Fine\r\nSet-Cookie: a=1\r\nX-CaSe: 1\r\nSet-Cookie: b=2\r\n/)
    })

    test('connections to an instance are reused, and so are those of clients', async () => {
      const origin = await keep(echo())
      const { port } = await engineTo([origin.target])
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      for (let i = 0; i < 20; i++) expect((await request({ port, agent })).status).toBe(200)
      const clientConnections = Object.values(agent.freeSockets).flat().length
      agent.destroy()
      expect(origin.accepted()).toBe(1)
      expect(clientConnections).toBe(1)
    })

    test('an instance connection that said more than its answer is never used again', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'))
      const { port } = await engineTo([origin.target])
      for (let i = 0; i < 5; i++) expect((await request({ port })).body.toString()).toBe('ok')
    })

    test('requests spread over the instances', async () => {
      const a = await keep(httpOrigin((_req, res) => res.end('a'), 'a'))
      const b = await keep(httpOrigin((_req, res) => res.end('b'), 'b'))
      const { port } = await engineTo([a.target, b.target])
      const answers = await Promise.all(Array.from({ length: 20 }, () => request({ port })))
      const bodies = answers.map((answer) => answer.body.toString())
      expect(bodies.filter((body) => body === 'a')).toHaveLength(10)
    })

    test('a host is served whatever its case, trailing dot or port, and never by likeness', async () => {
      const a = await keep(httpOrigin((_req, res) => res.end('a'), 'a'))
      const { port } = await engineWith([routeTo('app.test', [a.target]), routeTo('xn--mnchen-3ya.test', [a.target])])
      for (const host of ['APP.Test', 'app.test.', `app.test:${port}`, 'App.test.:80', 'münchen.test', 'MÜNCHEN.test'])
        expect((await request({ port, host: Buffer.from(host).toString('latin1') })).status, host).toBe(200)
      for (const host of ['app.test.evil', 'xapp.test', 'sub.app.test', 'app', 'app.tes'])
        expect((await request({ port, host })).status, host).toBe(404)
      for (const host of ['app.test@evil', 'app.test/x', 'app..test', 'app.test:x', 'app.test, other', ' '])
        expect((await request({ port, host })).status, host).toBe(400)
    })

    test('Expect: 100-continue is answered here once the route is known, and the body passes', async () => {
      const origin = await keep(echo())
      const { port } = await engineTo([origin.target])
      const head = (host: string) => `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`
      const text = await rawRequest(port, `${head('app.test')}hi`)
      expect(text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/)
      expect(await rawRequest(port, head('other.test'), (so) => so.includes('\r\n\r\n'))).toMatch(/^HTTP\/1.1 404 /)
    })

    test('early hints reach the client before the answer', async () => {
      const origin = await keep(
        scriptedOrigin('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
      )
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
      expect(text).toMatch(/^HTTP\/1.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n\r\nHTTP\/1.1 200 OK/)
    })
  })
}
