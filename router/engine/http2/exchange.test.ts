import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { Readable, Transform } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { trustedProxies } from '@/shared/node/trusted-proxies'
import type { AnswerFilter, Gate } from '../../gate/gate'
import { OpenGate } from '../contract/doubles'
import { useEngine, watchKeepAlive } from '../contract/harness'
import { hostTable, httpOrigin, openServices, quietLog, rawOrigin, routeTo, scriptedOrigin, testLimits, until } from '../contract/testing'
import { createLeanEngine } from '../lean'

interface Answer {
  headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader
  trailers: http2.IncomingHttpHeaders
  informational: http2.IncomingHttpHeaders[]
  body: Buffer
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
/** A body that no shift or repetition leaves the same. */
const pattern = (bytes: number) => Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8) * 7) & 0xff))

describe('HTTP/2 towards clients, HTTP/1.1 towards instances', () => {
  const { keep, engineTo } = useEngine(createLeanEngine)
  const sessions: http2.ClientHttp2Session[] = []
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy()
  })
  const client = (port: number, settings: http2.Settings = {}) => {
    const session = http2.connect(`http://127.0.0.1:${port}`, { settings })
    session.on('error', () => {})
    sessions.push(session)
    return session
  }
  const ask = (
    session: http2.ClientHttp2Session,
    headers: http2.OutgoingHttpHeaders = {},
    body?: Buffer | string,
    trailers?: http2.OutgoingHttpHeaders,
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const stream = session.request(
        { ':authority': 'app.test', ':path': '/', ...headers },
        { endStream: body === undefined, waitForTrailers: trailers !== undefined },
      )
      const answer: Answer = { headers: {}, trailers: {}, informational: [], body: Buffer.alloc(0) }
      const chunks: Buffer[] = []
      stream.on('headers', (informational) => answer.informational.push(informational))
      stream.on('response', (received) => Object.assign(answer.headers, received))
      stream.on('trailers', (received) => Object.assign(answer.trailers, received))
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}))
      stream.on('error', reject)
      stream.on('end', () => resolve({ ...answer, body: Buffer.concat(chunks) }))
      if (body !== undefined) stream.end(body)
    })

  test('each stream of a trusted proxy has its own visitor', async () => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const { port } = await engineTo([origin.target], {}, { trusts: trustedProxies(['127.0.0.1']) })
    const session = client(port)
    await ask(session, { 'x-forwarded-for': '6.6.6.6, 203.0.113.7', 'x-forwarded-proto': 'https' })
    await ask(session, { 'x-forwarded-for': '203.0.113.8' })
    await ask(session)
    expect(origin.text().match(/^X-Forwarded-(For|Proto): .*(?=\r$)/gm)).toEqual([
      'X-Forwarded-For: 203.0.113.7, 127.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-For: 203.0.113.8, 127.0.0.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: http',
    ])
  })

  test('a request arrives as HTTP/1.1: lower-case names, one Cookie line, the router’s own words', async () => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: theirs\r\n\r\nok'))
    const { port } = await engineTo([origin.target])
    const { headers, body } = await ask(client(port), {
      ':path': '/a/b?c=1',
      cookie: ['a=1', 'b=2'],
      'x-one': 'two',
      'x-forwarded-for': '6.6.6.6',
      x_real_ip: '6.6.6.6',
      proxy: '6.6.6.6',
      content_length: '6.6.6.6',
      'x-invoke-status': '6.6.6.6',
      expect: '100-continue',
      'proxy-authorization': 'secret',
    })
    expect(body.toString()).toBe('ok')
    expect(headers[':status']).toBe(200)
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers.date).toBeDefined()
    const text = origin.text()
    expect(text).toMatch(/^GET \/a\/b\?c=1 HTTP\/1.1\r\nHost: app.test\r\n/)
    expect(text).toMatch(/\r\ncookie: a=1; b=2\r\n/)
    expect(text).toMatch(/\r\nx-one: two\r\n/)
    expect(text).toMatch(/\r\nX-Forwarded-For: 127.0.0.1\r\n/)
    expect(text).toContain(`\r\nX-Request-Id: ${headers['x-request-id']}\r\n`)
    expect(text).not.toMatch(/6\.6\.6\.6|secret|theirs|content-length|transfer-encoding|connection:/i)
    expect(text.endsWith('\r\n\r\n')).toBe(true)
  })

  test('random header lists survive nghttp2 → us → instance → us → nghttp2', async () => {
    const origin = await keep(
      httpOrigin((req, res) => {
        const seen = Object.entries(req.headers).filter(([name]) => name.startsWith('x-t'))
        for (const [name, value] of seen) res.setHeader(name, value ?? '')
        res.end('ok')
      }),
    )
    const { port } = await engineTo([origin.target])
    const session = client(port)
    let state = 5
    const next = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    for (let round = 0; round < 60; round++) {
      const sent: Record<string, string> = {}
      for (let i = 0; i < 12; i++) sent[`x-t${next(8)}`] = `v${String.fromCharCode(...Array.from({ length: next(120) }, () => 33 + next(94)))}`
      const { headers } = await ask(session, sent)
      for (const [name, value] of Object.entries(sent)) expect(headers[name]).toBe(value)
    }
  })

  test('a large body comes down whole through small windows, several at a time', async () => {
    const large = pattern(3_000_000)
    const origin = await keep(httpOrigin((req, res) => (req.url === '/chunked' ? void res.write(large, () => res.end()) : void res.end(large))))
    const { port } = await engineTo([origin.target])
    const session = client(port, { initialWindowSize: 20_000 })
    const answers = await Promise.all(['/', '/chunked', '/', '/chunked'].map((path) => ask(session, { ':path': path })))
    for (const { body } of answers) expect(digest(body)).toBe(digest(large))
  })

  test('a large body goes up whole, with and without Content-Length', async () => {
    const large = pattern(5_000_000)
    const origin = await keep(
      httpOrigin((req, res) => {
        const hash = createHash('sha256')
        req.on('data', (chunk) => hash.update(chunk))
        req.on('end', () => res.end(`${req.headers['content-length'] ?? req.headers['transfer-encoding']} ${hash.digest('hex')}`))
      }),
    )
    const { port } = await engineTo([origin.target])
    const session = client(port)
    const [counted, chunked] = await Promise.all([
      ask(session, { ':method': 'POST', 'content-length': large.length }, large),
      ask(session, { ':method': 'POST' }, large),
    ])
    expect(counted?.body.toString()).toBe(`${large.length} ${digest(large)}`)
    expect(chunked?.body.toString()).toBe(`chunked ${digest(large)}`)
  })

  test('an instance that does not read holds the client back, and the neighbours go on', async () => {
    const origin = await keep(
      rawOrigin((connection) => {
        const text = connection.bytes.toString('latin1')
        if (text.startsWith('POST')) connection.socket.pause()
        else connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }),
    )
    const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 60_000 })
    const session = client(port)
    const upload = session.request({ ':authority': 'app.test', ':method': 'POST', ':path': '/' })
    upload.on('error', () => {})
    let taken = 0
    const chunk = Buffer.alloc(65_536)
    const more = () => {
      while (taken < 100_000_000) {
        taken += chunk.length
        if (!upload.write(chunk)) return void upload.once('drain', more)
      }
    }
    more()
    // What was sent before a PING was read before its answer, and whatever room came of it was told before: nothing is on its way any more.
    const roundTrip = () => new Promise<void>((resolve, reject) => void session.ping((error) => (error ? reject(error) : resolve())))
    await once(session, 'connect')
    let before = -1
    let idleTrips = 0
    await until('the upload stands still', async () => {
      idleTrips = taken === before ? idleTrips + 1 : 0
      before = taken
      await roundTrip()
      return idleTrips === 5
    })
    expect(taken).toBeLessThan(20_000_000)
    expect((await ask(session)).body.toString()).toBe('ok')
    upload.close(http2.constants.NGHTTP2_CANCEL)
  })

  test('trailers pass in both directions', async () => {
    const origin = await keep(
      httpOrigin((req, res) => {
        req.resume()
        req.on('end', () => {
          res.writeHead(200, { Trailer: 'grpc-status' })
          res.write(String(req.headers.te))
          res.addTrailers({ 'grpc-status': '0', 'x-echo': String(req.trailers['x-sum']) })
          res.end()
        })
      }),
    )
    const { port } = await engineTo([origin.target])
    const { body, trailers } = await ask(client(port), { ':method': 'POST', te: 'trailers' }, 'hello', { 'x-sum': '42' })
    expect(body.toString()).toBe('trailers')
    expect(trailers).toMatchObject({ 'grpc-status': '0', 'x-echo': '42' })
  })

  test('what authenticates, routes or describes a request does not pass behind its body', async () => {
    const origin = await keep(httpOrigin((req, res) => void req.resume().on('end', () => res.end(JSON.stringify(req.trailers)))))
    const { port } = await engineTo([origin.target])
    const late = {
      'x-sum': '1',
      authorization: 'Basic eA==',
      cookie: 'a=b',
      'content-type': 'x/y',
      'x-forwarded-for': '6.6.6.6',
      x_real_ip: '6.6.6.6',
    }
    const { body } = await ask(client(port), { ':method': 'POST' }, 'hello', late)
    expect(JSON.parse(body.toString())).toEqual({ 'x-sum': '1' })
  })

  test('HEAD, 204 and 304 have no body, and end with their head', async () => {
    const origin = await keep(
      httpOrigin((req, res) => {
        res.statusCode = Number(req.url?.slice(1) ?? 200)
        if (res.statusCode === 200) res.setHeader('Content-Length', 5)
        res.end(res.statusCode === 200 ? 'hello' : undefined)
      }),
    )
    const { port } = await engineTo([origin.target])
    const session = client(port)
    const head = await ask(session, { ':method': 'HEAD', ':path': '/200' })
    expect([head.headers[':status'], head.headers['content-length'], head.body.length]).toEqual([200, '5', 0])
    for (const path of ['/204', '/304']) expect((await ask(session, { ':path': path })).headers[':status']).toBe(Number(path.slice(1)))
    expect((await ask(session, { ':path': '/200' })).body.toString()).toBe('hello')
  })

  test('early hints pass on, 100 and 102 do not', async () => {
    const interim =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-No: 1\r\n\r\n'
    const origin = await keep(scriptedOrigin(`${interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`))
    const { port } = await engineTo([origin.target])
    const { informational, body } = await ask(client(port))
    expect(informational.map((headers) => [headers[':status'], headers.link, headers['x-no']])).toEqual([[103, '</a.css>; rel=preload', undefined]])
    expect(body.toString()).toBe('ok')
  })

  test('refusals come as pages: unknown host, wrong target, wrong method, too many fields', async () => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const { port } = await engineTo([origin.target])
    const session = client(port)
    const status = async (headers: http2.OutgoingHttpHeaders) => (await ask(session, headers)).headers[':status']
    expect(await status({ ':authority': 'other.test' })).toBe(404)
    expect(await status({ ':path': 'http://app.test/' })).toBe(400)
    expect(await status({ ':path': '/a#b' })).toBe(400)
    expect(await status({ ':method': 'TRACE' })).toBe(405)
    expect(await status({ ':method': 'BREW' })).toBe(501)
    expect(await status(Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`x-${i}`, 'y'])))).toBe(431)
    expect(await status({ 'x-big': 'y'.repeat(30_000) })).toBe(431)
    expect(await status({})).toBe(200)
    expect(origin.connections.length).toBe(1)
  })

  test('Host beside :authority must say the same, and alone is enough', async () => {
    const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const { port } = await engineTo([origin.target])
    const session = client(port)
    await expect(ask(session, { host: 'evil.test' })).rejects.toThrow(/PROTOCOL_ERROR/)
    expect((await ask(session, { host: 'app.test' })).headers[':status']).toBe(200)
    expect(origin.text()).not.toContain('evil')
  })

  test('an instance that breaks off midway resets the stream and nothing else; one that is gone is a page', async () => {
    const origin = await keep(
      scriptedOrigin((head, connection) => {
        if (head.startsWith('GET /good')) return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        connection.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
        return null
      }),
    )
    const { port } = await engineTo([origin.target])
    const session = client(port)
    await expect(ask(session, { ':path': '/bad' })).rejects.toThrow(/INTERNAL_ERROR/)
    expect((await ask(session, { ':path': '/good' })).body.toString()).toBe('ok')
    await origin.close()
    expect((await ask(session, { ':path': '/gone', accept: 'text/html' })).headers[':status']).toBe(502)
  })

  test('a client that cancels takes its instance connection with it', async () => {
    const origin = await keep(rawOrigin(() => {}))
    const { engine, port } = await engineTo([origin.target])
    const stream = client(port).request({ ':authority': 'app.test', ':path': '/' })
    stream.on('error', () => {})
    await until('the request arrives', () => origin.text().length > 0)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await until('the instance connection is closed', () => origin.connections[0]?.closed === true)
    expect(engine.inFlight(['raw'])).toEqual({ raw: 0 })
  })

  test('an answer before the end of the body reaches the client', async () => {
    const origin = await keep(
      rawOrigin((connection) => {
        if (connection.bytes.includes('\r\n\r\n'))
          connection.socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!')
      }),
    )
    const { port } = await engineTo([origin.target])
    const stream = client(port).request({ ':authority': 'app.test', ':method': 'POST', ':path': '/' })
    const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
    stream.on('error', () => {})
    stream.write(Buffer.alloc(100_000))
    expect(await status).toBe(413)
  })

  test('draining finishes what is open, tells GOAWAY, and closes', async () => {
    let finish = () => {}
    const origin = await keep(
      httpOrigin((_req, res) => {
        finish = () => res.end('late')
      }),
    )
    const { engine, port } = await engineTo([origin.target])
    const session = client(port)
    const goaways: number[] = []
    session.on('goaway', (code) => goaways.push(code))
    const answer = ask(session)
    await until('the request arrives', () => origin.open() > 0)
    const drained = engine.drain({ deadlineMs: 5_000, idleGraceMs: 50 })
    await until('both GOAWAYs arrive', () => goaways.length >= 2)
    finish()
    expect((await answer).body.toString()).toBe('late')
    expect(await drained).toEqual({ cut: 0 })
    await until('the connection is closed', () => session.destroyed)
    expect(goaways.every((code) => code === 0)).toBe(true)
  })

  test('an idle connection is closed with GOAWAY after its time, a silent upload is 408', async () => {
    const origin = await keep(rawOrigin(() => {}))
    const { port } = await engineTo([origin.target], { keepAliveMs: 300, clientIdleTimeoutMs: 300, upstreamTimeoutMs: 10_000 })
    const session = client(port)
    const stream = session.request({ ':authority': 'app.test', ':method': 'POST', ':path': '/' })
    stream.on('error', () => {})
    const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
    stream.write('half')
    expect(await status).toBe(408)
    stream.resume()
    await until('the idle connection is closed', () => session.destroyed)
  })

  test('a stream of events may be silent for longer than an instance may, a silent stream of another kind is cut', async () => {
    const origin = await keep(
      httpOrigin((req, res) => {
        res.writeHead(200, { 'Content-Type': req.url === '/events' ? 'text/event-stream' : 'text/plain' })
        res.write('first ')
        setTimeout(() => res.end('later'), 1_600)
      }),
    )
    const asked = watchKeepAlive()
    const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 300, clientIdleTimeoutMs: 300 })
    const events = ask(client(port), { ':path': '/events' })
    const other = ask(client(port), { ':path': '/other' })
    await expect(other).rejects.toThrow()
    expect((await events).body.toString()).toBe('first later')
    asked.restore()
    expect(asked.ports).toContain(port)
  })

  test('answers of our own that are streams, and answers that pass through a filter, come whole to slow clients', async () => {
    const large = pattern(2_000_000)
    const origin = await keep(httpOrigin((_req, res) => void res.end(large)))
    const table = hostTable([routeTo('app.test', [origin.target])])
    const services = openServices(table)
    const open = new OpenGate(table)
    const gate: Gate = {
      admitUnknown: (facts) => open.admitUnknown(facts),
      problem: (problem, route, facts) => open.problem(problem, route, facts),
      admit: async (route, facts) => {
        const admission = open.admit(route)
        if (facts.path === '/filtered' && admission.kind === 'forward') admission.filter = doubled()
        if (facts.path !== '/file') return admission
        const body = { length: large.length, open: () => Readable.from([large.subarray(0, 700_000), large.subarray(700_000)]) }
        return { kind: 'answer', answer: { status: 200, headers: [['Content-Length', String(large.length)]], body, cache: 'none', why: null } }
      },
    }
    const engine = await keep(createLeanEngine({ limits: testLimits, table, log: quietLog, ...services, gate }))
    const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
    const session = client(port, { initialWindowSize: 30_000 })
    const [file, filtered, plain, head] = await Promise.all([
      ask(session, { ':path': '/file' }),
      ask(session, { ':path': '/filtered' }),
      ask(session, { ':path': '/plain' }),
      ask(session, { ':path': '/file', ':method': 'HEAD' }),
    ])
    expect(digest(file?.body ?? Buffer.alloc(0))).toBe(digest(large))
    expect(digest(plain?.body ?? Buffer.alloc(0))).toBe(digest(large))
    expect(filtered?.body.length).toBe(large.length * 2)
    expect(filtered?.headers['x-filtered']).toBe('yes')
    expect([head?.headers['content-length'], head?.body.length]).toEqual([String(large.length), 0])
  })
})

/** Says every byte twice. */
function doubled(): AnswerFilter {
  return {
    cache: 'none',
    abort: () => {},
    onHead: (status) => ({
      status,
      headers: [['X-Filtered', 'yes']],
      through: new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.concat([chunk, chunk])) }),
    }),
  }
}
