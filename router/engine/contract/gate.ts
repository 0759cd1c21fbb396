import { PassThrough, Readable, Transform } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Admission, LocalAnswer, RequestFacts } from '../../gate/gate'
import type { LiveRoute } from '../../match/host-table'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { localAnswer, plan, ScriptedGate, scriptedFilter } from './scripted'
import { httpOrigin, RawClient, rawOrigin, rawRequest, request, routeTo, scriptedOrigin, until } from './testing'

const upperCase = () =>
  new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk.toString('latin1').toUpperCase(), 'latin1')) })
const handshake =
  'GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

export function gateContract(createEngine: EngineFactory): void {
  describe('what the gate decides', () => {
    const { keep, engineTo, engineWith } = useEngine(createEngine)
    const gated = async (admit: (route: LiveRoute, facts: RequestFacts) => Admission | Promise<Admission>, answer = 'app') => {
      const origin = await keep(httpOrigin((req, res) => req.resume().once('end', () => res.end(answer))))
      const gate = new ScriptedGate(admit)
      return { origin, gate, ...(await engineTo([origin.target], {}, { gate })) }
    }

    test('it is told the facts of a request as rules read them', async () => {
      const { gate, port } = await gated((route) => plan(route))
      await rawRequest(
        port,
        'GET /a%20b/?q=%3F&x HTTP/1.1\r\nHost: APP.test.:80\r\nCookie: a=1\r\ncookie: b=2\r\nAccept: x\r\naccept: y\r\nConnection: close\r\n\r\n',
      )
      const [facts] = gate.seen
      expect(facts).toMatchObject({ method: 'GET', host: 'app.test', path: '/a%20b/', query: '?q=%3F&x', scheme: 'http', clientIp: '127.0.0.1' })
      expect(facts?.header('cookie')).toBe('a=1; b=2')
      expect(facts?.header('accept')).toBe('x, y')
      expect(facts?.header('missing')).toBeUndefined()
      expect(facts?.requestId).toBeTruthy()
    })

    test.each(['at once', 'later'])('an answer given %s is sent and the instance never hears of the request', async (when) => {
      const answer = localAnswer(308, 'moved', [
        ['Location', 'https://app.test/'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ])
      const admission: Admission = { kind: 'answer', answer }
      const { origin, port } = await gated(() => (when === 'later' ? new Promise((resolve) => setTimeout(() => resolve(admission), 20)) : admission))
      const got = await request({ port })
      expect(got.status).toBe(308)
      expect(got.body.toString()).toBe('moved')
      expect(got.headers).toMatchObject({ location: 'https://app.test/', 'set-cookie': ['a=1', 'b=2'] })
      expect(got.headers['x-request-id']).toBeTruthy()
      expect(origin.accepted()).toBe(0)
    })

    test('its fast head and its list of headers say the same to the client', async () => {
      const answer: LocalAnswer = {
        ...localAnswer(200, 'file', [['Content-Type', 'text/css']]),
        head: Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 4\r\n'),
      }
      const { port } = await gated(() => ({ kind: 'answer', answer }))
      const text = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
      expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/)
      expect(text).toMatch(/\r\nContent-Type: text\/css\r\n/)
      expect(text.match(/content-length/gi)).toHaveLength(1)
      expect(text.match(/x-request-id/gi)).toHaveLength(1)
      expect(text.match(/\r\ndate: /gi)).toHaveLength(1)
      expect(text).toMatch(/\r\n\r\nfile$/)
    })

    test('to HEAD its answer has the head alone, and the connection goes on', async () => {
      let opened = 0
      const streamed = {
        length: 5,
        open: () => {
          opened++
          return Readable.from([Buffer.from('never')])
        },
      }
      const { port } = await gated((_route, facts) => ({
        kind: 'answer',
        answer: facts.path === '/s' ? { ...localAnswer(200, '12345'), body: streamed } : localAnswer(200, '12345'),
      }))
      const client = await RawClient.connect(port)
      client.write('HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\nHEAD /s HTTP/1.1\r\nHost: app.test\r\n\r\nGET /end HTTP/1.1\r\nHost: app.test\r\n\r\n')
      const text = await client.read((so) => so.endsWith('12345'))
      expect(text.match(/HTTP\/1.1 200/g)).toHaveLength(3)
      expect(text.match(/content-length: 5/gi)).toHaveLength(3)
      expect(text.match(/\r\n\r\nHTTP/g)).toHaveLength(2)
      expect(opened).toBe(0)
      client.destroy()
    })

    test('a streamed body arrives whole, with and without a known length', async () => {
      const bytes = Buffer.alloc(3_000_000, 'a')
      const { port } = await gated((_route, facts) => {
        const known = facts.path === '/known'
        const headers: [string, string][] = known ? [['Content-Length', String(bytes.length)]] : []
        const parts = Array.from({ length: 30 }, (_, i) => bytes.subarray(i * 100_000, (i + 1) * 100_000))
        return {
          kind: 'answer',
          answer: {
            status: 200,
            headers,
            body: { length: known ? bytes.length : null, open: () => Readable.from(parts) },
            cache: 'static',
            why: null,
          },
        }
      })
      expect((await request({ port, path: '/known' })).body.equals(bytes)).toBe(true)
      const unknown = await request({ port, path: '/unknown' })
      expect(unknown.body.equals(bytes)).toBe(true)
      expect(unknown.headers['transfer-encoding']).toBe('chunked')
      const old = await rawRequest(port, 'GET /unknown HTTP/1.0\r\nHost: app.test\r\n\r\n')
      expect(old).not.toMatch(/transfer-encoding/i)
      expect(old.split('\r\n\r\n')[1]?.length).toBe(bytes.length)
    })

    test('a streamed body that fails breaks the connection; one whose client left is closed', async () => {
      const endless: Readable[] = []
      const { port } = await gated((_route, facts) => {
        const source = new Readable({ read() {} })
        source.push('part')
        if (facts.path === '/fails') setTimeout(() => source.destroy(new Error('disk')), 20)
        else endless.push(source)
        return { kind: 'answer', answer: { status: 200, headers: [], body: { length: null, open: () => source }, cache: 'static', why: null } }
      })
      await expect(request({ port, path: '/fails' })).rejects.toThrow()
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await client.read((text) => text.includes('part'))
      client.destroy()
      await until('the source is closed', () => endless[0]?.destroyed === true)
    })

    test('an answer before the body of the request is whole reaches the client', async () => {
      const { port } = await gated(() => ({ kind: 'answer', answer: localAnswer(401, 'who are you?', [], { close: true }) }))
      const client = await RawClient.connect(port)
      client.write(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`)
      const text = await client.read((so) => so.endsWith('who are you?'))
      expect(text).toMatch(/^HTTP\/1.1 401 /)
      expect(text).toMatch(/\r\nconnection: close\r\n/i)
      client.destroy()
    })

    test('a client that waits for "100 Continue" gets the final answer instead when the gate has one', async () => {
      const { port } = await gated(() => ({ kind: 'answer', answer: localAnswer(401, 'no') }))
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n')
      expect(await client.read((so) => so.endsWith('no'))).toMatch(/^HTTP\/1.1 401 /)
      client.destroy()
    })

    test('problems become its pages, told of which route', async () => {
      const dead = await keep(rawOrigin((connection) => connection.socket.destroy()))
      const gate = new ScriptedGate((route, facts) =>
        facts.path === '/closed' ? { kind: 'problem', problem: { kind: 'stopped', host: facts.host, projectName: 'shop' } } : plan(route),
      )
      const { port } = await engineWith([routeTo('app.test', [dead.target]), routeTo('empty.test', [])], {}, { gate })
      const statuses = [
        await request({ port }),
        await request({ port }),
        await request({ port, host: 'empty.test' }),
        await request({ port, path: '/closed' }),
        await request({ port, host: 'other.test' }),
      ]
      expect(statuses.map((answer) => `${answer.status} ${answer.headers['x-page-of']}`)).toEqual([
        '502 app.test',
        '502 app.test',
        '503 empty.test',
        '503 app.test',
        '404 nobody',
      ])
      expect(gate.problems.map((problem) => problem.kind)).toEqual(['reset', 'reset', 'no-target', 'stopped', 'unknown-host'])
      for (const answer of statuses) expect(JSON.parse(answer.body.toString()).error.requestId).toBe(answer.headers['x-request-id'])
    })

    test('a host without route is the gate’s to answer', async () => {
      const gate = new ScriptedGate(undefined, () => ({ kind: 'answer', answer: localAnswer(200, 'token.key') }))
      const { port } = await engineWith([], {}, { gate })
      expect((await request({ port, host: 'new.test', path: '/.well-known/acme-challenge/token' })).body.toString()).toBe('token.key')
    })

    test('a gate that throws costs one request', async () => {
      const { port } = await gated((route, facts) => {
        if (facts.path === '/sync') throw new Error('bug')
        return facts.path === '/async' ? Promise.reject(new Error('bug')) : plan(route)
      })
      expect((await request({ port, path: '/sync' })).status).toBe(500)
      expect((await request({ port, path: '/async' })).status).toBe(500)
      expect((await request({ port })).status).toBe(200)
    })

    test('a rewritten target, edited headers and another project’s route reach the instance', async () => {
      const mine = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine'))
      const theirs = await keep(
        scriptedOrigin(
          'HTTP/1.1 200 OK\r\nX-Powered-By: y\r\nCache-Control: a\r\nVary: A\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\ntheirs',
          'theirs',
        ),
      )
      let other: LiveRoute | undefined
      const gate = new ScriptedGate((route) => {
        if (route.host === 'other.test') other = route
        return plan(other ?? route, {
          target: '/inner//path?x=1',
          requestHeaders: { remove: ['x-drop'], set: [['X-Set', '1']], append: [['X-Kept', '2']] },
          responseHeaders: { remove: ['x-powered-by'], set: [['cache-control', 'b']], append: [['Vary', 'B']] },
        })
      })
      const { port } = await engineWith([routeTo('app.test', [mine.target]), routeTo('other.test', [theirs.target])], {}, { gate })
      await request({ port, host: 'other.test' })
      const answer = await rawRequest(
        port,
        'GET /outer HTTP/1.1\r\nHost: app.test\r\nX-Drop: 1\r\nx-set: 0\r\nX-Kept: 1\r\nConnection: close\r\n\r\n',
      )
      expect(mine.connections).toHaveLength(0)
      const head = theirs.text().slice(theirs.text().lastIndexOf('GET '))
      expect(head).toMatch(/^GET \/inner\/\/path\?x=1 HTTP\/1.1\r\n/)
      expect(head).not.toMatch(/x-drop/i)
      expect(head.match(/\r\nx-set: .*/gi)).toEqual(['\r\nX-Set: 1'])
      expect(head.match(/\r\nx-kept: .*/gi)?.map((line) => line.slice(-1))).toEqual(['1', '2'])
      expect(head).toMatch(/\r\nX-Forwarded-Host: app.test\r\n/i)
      expect(answer).not.toMatch(/x-powered-by/i)
      expect(answer.match(/\r\ncache-control: .*/gi)).toEqual(['\r\ncache-control: b'])
      expect(answer.match(/\r\nvary: .*/gi)?.map((line) => line.slice(-1))).toEqual(['A', 'B'])
    })

    test('an outside target gets its own Host, over its own connections', async () => {
      const outside = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\noutside'))
      const gate = new ScriptedGate((route) =>
        plan(route, { outside: { scheme: 'http', address: '127.0.0.1', port: outside.port, hostname: 'api.example.test' } }),
      )
      const { port } = await engineTo([], {}, { gate })
      expect((await request({ port })).body.toString()).toBe('outside')
      expect(outside.text()).toMatch(new RegExp(`\\r\\nHost: api.example.test:${outside.port}\\r\\n`, 'i'))
      expect(outside.text().match(/\r\nhost:/gi)).toHaveLength(1)
    })

    test('a body beyond its limit is refused with 413, by its length and by its chunks', async () => {
      const { port } = await gated((route) => plan(route, { maxBodyBytes: 10_000 }))
      expect((await request({ port, method: 'POST', body: 'x'.repeat(10_000) })).status).toBe(200)
      expect((await request({ port, method: 'POST', body: 'x'.repeat(10_001) })).status).toBe(413)
      const client = await RawClient.connect(port)
      const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`
      client.write(`POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}`)
      expect(await client.read((text) => text.includes('\r\n\r\n'))).toMatch(/^HTTP\/1.1 413 /)
      client.destroy()
      expect((await request({ port })).status).toBe(200)
    })

    test('a handshake is asked about too: answered, refused, let through with edits', async () => {
      const origin = await keep(
        scriptedOrigin(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nX-Inner: 1\r\n\r\nfirst',
        ),
      )
      let next: 'answer' | 'problem' | 'plan' = 'answer'
      const gate = new ScriptedGate(async (route, facts) => {
        if (next === 'answer') return { kind: 'answer', answer: localAnswer(401, 'who?') }
        if (next === 'problem') return { kind: 'problem', problem: { kind: 'stopped', host: facts.host, projectName: 'shop' } }
        return plan(route, { target: '/inner', responseHeaders: { remove: ['x-inner', 'upgrade'], set: [['X-Outer', '1']], append: [] } })
      })
      const { port } = await engineTo([origin.target], {}, { gate })
      const refused = await rawRequest(port, handshake, (text) => text.endsWith('who?'))
      expect(refused).toMatch(/^HTTP\/1.1 401 Unauthorized\r\n/)
      next = 'problem'
      expect(await rawRequest(port, handshake, (text) => text.includes('}'))).toMatch(/^HTTP\/1.1 503 /)
      expect(origin.connections).toHaveLength(0)
      next = 'plan'
      const switched = await rawRequest(port, handshake, (text) => text.endsWith('first'))
      expect(switched).toMatch(/^HTTP\/1.1 101 /)
      expect(switched).toMatch(/\r\nupgrade: websocket\r\n/i)
      expect(switched).toMatch(/\r\nX-Outer: 1\r\n/i)
      expect(switched).not.toMatch(/x-inner/i)
      expect(origin.text()).toMatch(/^GET \/inner HTTP/)
    })
  })

  describe('filters of answers', () => {
    const { keep, engineTo } = useEngine(createEngine)
    const filtered = async (filter: ReturnType<typeof scriptedFilter>, answer: string) => {
      const origin = await keep(scriptedOrigin(answer))
      const gate = new ScriptedGate((route) => plan(route, { filter, responseHeaders: { remove: [], set: [['X-Edited', '1']], append: [] } }))
      return { origin, ...(await engineTo([origin.target], {}, { gate })) }
    }

    test.each([
      ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nhello'],
      ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'],
    ])('a body with %s goes through and comes out changed, framed anew; what was edited is there', async (_what, answer) => {
      const filter = scriptedFilter((status, headers) => ({
        status: status + 3,
        headers: [...headers.filter(([name]) => name.toLowerCase() !== 'content-length'), ['X-Filter', '1']],
        through: upperCase(),
      }))
      const { port } = await filtered(filter, answer)
      for (let i = 0; i < 2; i++) {
        const got = await request({ port })
        expect(got.status).toBe(203)
        expect(got.body.toString()).toBe('HELLO')
        expect(got.headers).toMatchObject({ 'x-filter': '1', 'x-edited': '1', 'transfer-encoding': 'chunked' })
      }
      const names = filter.heads[0]?.map(([name]) => name.toLowerCase()) ?? []
      expect(names).not.toContain('x-hop')
      expect(names).not.toContain('transfer-encoding')
      expect(names.includes('content-length')).toBe(answer.includes('Content-Length'))
      expect(filter.aborted).toBe(0)
    })

    test('to HTTP/1.0 the changed body is ended by the end of the connection', async () => {
      const filter = scriptedFilter((status) => ({ status, headers: [], through: upperCase() }))
      const { port } = await filtered(filter, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
      const text = await rawRequest(port, 'GET / HTTP/1.0\r\nHost: app.test\r\n\r\n')
      expect(text).toMatch(/\r\n\r\nHELLO$/)
      expect(text).not.toMatch(/transfer-encoding/i)
    })

    test('a filter that has nothing to do lets the answer pass as it is', async () => {
      const filter = scriptedFilter(() => null)
      const { port } = await filtered(filter, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\nhello')
      const got = await request({ port })
      expect(got.body.toString()).toBe('hello')
      expect(got.headers).toMatchObject({ etag: '"x"', 'content-length': '5' })
      expect(filter.aborted).toBe(0)
    })

    test('an answer is replaced by one of ours, and its connection carries the next request or none', async () => {
      const filter = scriptedFilter((status) => (status === 500 ? { replace: localAnswer(503, 'our own page') } : null))
      const { port } = await filtered(filter, 'HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello')
      for (let i = 0; i < 3; i++) {
        const got = await request({ port })
        expect(got.status).toBe(503)
        expect(got.body.toString()).toBe('our own page')
      }
    })

    test.each(['HEAD', '304'])('%s: no byte of a body, whatever the filter would make of none', async (what) => {
      const filter = scriptedFilter((status, headers) => ({
        status,
        headers: headers.filter(([name]) => name.toLowerCase() !== 'content-length'),
        through: new PassThrough({
          final(done) {
            this.push('frame')
            done()
          },
        }),
      }))
      const { port } = await filtered(filter, what === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : 'HTTP/1.1 304 Not Modified\r\n\r\n')
      const client = await RawClient.connect(port)
      const ask = `${what === 'HEAD' ? 'HEAD' : 'GET'} / HTTP/1.1\r\nHost: app.test\r\n`
      client.write(`${ask}\r\n${ask}Connection: close\r\n\r\n`)
      const text = await client.read()
      expect(text.match(/HTTP\/1.1 /g)).toHaveLength(2)
      expect(text).not.toMatch(/frame/)
      expect(text).toMatch(/\r\n\r\n$/)
      client.destroy()
    })

    test('a filter hears of an answer that breaks off, and of a client that leaves', async () => {
      const filter = scriptedFilter((status) => ({ status, headers: [], through: new PassThrough() }))
      const { origin, port } = await filtered(filter, 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf')
      const broken = await RawClient.connect(port)
      broken.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await broken.read((text) => text.includes('half'))
      origin.connections[0]?.socket.destroy()
      expect(await broken.read()).not.toMatch(/\r\n0\r\n\r\n$/)
      await until('the filter heard', () => filter.aborted === 1)
      const leaving = await RawClient.connect(port)
      leaving.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await leaving.read((text) => text.includes('half'))
      leaving.destroy()
      await until('the filter heard', () => filter.aborted === 2)
      broken.destroy()
    })

    test('a filter hears when no answer came at all', async () => {
      const filter = scriptedFilter(() => null)
      const origin = await keep(rawOrigin((connection) => connection.socket.destroy()))
      const { port } = await engineTo([origin.target], {}, { gate: new ScriptedGate((route) => plan(route, { filter })) })
      expect((await request({ port })).status).toBe(502)
      await until('the filter heard', () => filter.aborted === 1)
    })
  })
}
