import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { CountingObserver, localAnswer, plan, RecordingTargets, ScriptedGate, scriptedFilter } from './scripted'
import { httpOrigin, RawClient, rawOrigin, rawRequest, request, routeTo, scriptedOrigin, until } from './testing'

const ask = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const handshake =
  'GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

export function accountContract(createEngine: EngineFactory): void {
  describe('what targets and the observer are told', () => {
    const { keep, engineTo, engineWith } = useEngine(createEngine)
    const services = () => ({ targets: new RecordingTargets(), observer: new CountingObserver() })

    /** Waits until exactly `count` requests have ended. */
    const ended = async ({ observer, targets }: ReturnType<typeof services>, count: number) => {
      await until(`${count} ends`, () => observer.ends.length >= count && targets.outcomes.length >= targets.leases)
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect(observer.ends).toHaveLength(count)
      expect(targets.outcomes).toHaveLength(targets.leases)
      return observer.ends
    }

    test('an ordinary request: one lease, one outcome, one line with its words', async () => {
      const origin = await keep(httpOrigin((req, res) => req.resume().once('end', () => res.end('x'.repeat(5000)))))
      const told = services()
      const { port } = await engineTo([origin.target], {}, told)
      await request({ port, method: 'POST', path: '/a?b', body: 'y'.repeat(3000), headers: { 'User-Agent': 'test/1' } })
      const [end] = await ended(told, 1)
      expect(end).toMatchObject({ instanceId: 'app', status: 200, cache: 'none', reason: null })
      expect(end?.route?.host).toBe('app.test')
      expect(end?.bytesIn).toBeGreaterThanOrEqual(3000)
      expect(end?.bytesOut).toBeGreaterThanOrEqual(5000)
      expect(end?.upstreamMs).toBeGreaterThanOrEqual(0)
      expect(end?.durationMs).toBeGreaterThanOrEqual(end?.upstreamMs ?? 0)
      expect(end?.words).toMatchObject({
        method: 'POST',
        host: 'app.test',
        target: '/a?b',
        protocol: 'http/1.1',
        scheme: 'http',
        clientIp: '127.0.0.1',
        userAgent: 'test/1',
      })
      expect(told.targets.outcomes).toMatchObject([{ kind: 'answered', status: 200 }])
    })

    test('an answer that a filter still holds is told with its own words, whoever uses its connection meanwhile', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('hello')))
      const told = services()
      let letGo = () => {}
      const held = new Promise<void>((resolve) => {
        letGo = resolve
      })
      const filter = scriptedFilter((status, headers) => ({
        status,
        headers: headers.filter(([name]) => name.toLowerCase() !== 'content-length'),
        through: new PassThrough({ flush: (done) => void held.then(() => done()) }),
      }))
      const gate = new ScriptedGate((route, facts) => plan(route, facts.path === '/held' ? { filter } : {}))
      const { port } = await engineTo([origin.target], {}, { ...told, gate })
      const first = request({ port, path: '/held', headers: { 'User-Agent': 'the-first' } })
      await until('the filter has seen the answer', () => filter.heads.length === 1)
      for (let i = 0; i < 3; i++) await request({ port, path: '/else', headers: { 'User-Agent': 'a-second' } })
      letGo()
      expect((await first).body.toString()).toBe('hello')
      const ends = await ended(told, 4)
      expect(ends.map(({ words }) => `${words?.target} ${words?.userAgent}`).sort()).toEqual([
        '/else a-second',
        '/else a-second',
        '/else a-second',
        '/held the-first',
      ])
    })

    test('kept connections and pipelined requests: each counts once', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('ok')))
      const told = services()
      const { port } = await engineTo([origin.target], {}, told)
      const client = await RawClient.connect(port)
      client.write(ask.repeat(3))
      await client.read((text) => text.match(/ok/g)?.length === 3)
      client.write(ask)
      await client.read((text) => text.match(/ok/g)?.length === 4)
      client.destroy()
      await ended(told, 4)
      expect(told.targets.leases).toBe(4)
    })

    test('answers and problems of the gate, and heads that are refused, count once and say why', async () => {
      const gate = new ScriptedGate((_route, facts) =>
        facts.path === '/answer'
          ? { kind: 'answer', answer: localAnswer(200, 'four', [], { cache: 'hit', why: null }) }
          : { kind: 'problem', problem: { kind: 'stopped', host: facts.host, projectName: 'shop' } },
      )
      const told = services()
      const { port } = await engineTo([], {}, { ...told, gate })
      await request({ port, path: '/answer' })
      await request({ port })
      await request({ port, host: 'other.test' })
      await rawRequest(port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
      await rawRequest(port, 'GARBAGE\r\n\r\n')
      const ends = await ended(told, 5)
      expect(ends.map(({ status, cache, reason }) => `${status} ${cache} ${reason}`)).toEqual([
        '200 hit null',
        '503 none stopped',
        '404 none unknown-host',
        '400 none bad-request',
        '400 none bad-request',
      ])
      expect(ends[0]?.bytesOut).toBeGreaterThanOrEqual(4)
      expect(told.targets.leases).toBe(0)
    })

    test('faults: the outcome names them, the line has the page’s status', async () => {
      const reset = await keep(rawOrigin((connection) => connection.socket.destroy(), 'reset'))
      const silent = await keep(rawOrigin(() => {}, 'silent'))
      const garbage = await keep(scriptedOrigin('nonsense\r\n\r\n', 'garbage'))
      const cut = await keep(rawOrigin(({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'), 'cut'))
      const told = services()
      const routes = [reset, silent, garbage, cut].map((origin) => routeTo(`${origin.target.instanceId}.test`, [origin.target]))
      const { port } = await engineWith(routes, {}, told)
      for (const host of ['reset.test', 'silent.test', 'garbage.test']) await request({ port, host })
      await request({ port, host: 'cut.test' }).catch(() => {})
      const ends = await ended(told, 4)
      expect(ends.map(({ status }) => status)).toEqual([502, 504, 502, 200])
      expect(ends.map(({ reason }) => reason).slice(0, 3)).toEqual(['reset', 'answer-timeout', 'bad-answer'])
      expect(ends[3]?.reason).not.toBeNull()
      expect(told.targets.outcomes.map((outcome) => (outcome.kind === 'fault' ? outcome.fault : outcome.kind))).toEqual([
        'reset',
        'answer-timeout',
        'bad-answer',
        'reset',
      ])
    })

    test('a second attempt asks anew and avoids the first target', async () => {
      const alive = await keep(httpOrigin((_req, res) => res.end('alive'), 'alive'))
      const gone = await keep(rawOrigin(() => {}, 'gone'))
      await gone.close()
      const told = services()
      const { port } = await engineTo([gone.target, alive.target], {}, told)
      expect((await request({ port })).body.toString()).toBe('alive')
      const [end] = await ended(told, 1)
      expect(end).toMatchObject({ status: 200, instanceId: 'alive' })
      expect(told.targets.asks.map((one) => one.avoid?.instanceId)).toEqual([undefined, 'gone'])
      expect(told.targets.outcomes).toMatchObject([{ kind: 'fault', fault: 'refused' }, { kind: 'answered' }])
    })

    test('a request waits for its target, body and all', async () => {
      const origin = await keep(
        httpOrigin((req, res) => {
          let bytes = 0
          req.on('data', (chunk: Buffer) => {
            bytes += chunk.length
          })
          req.once('end', () => res.end(String(bytes)))
        }),
      )
      const told = services()
      told.targets.hold = true
      const { port } = await engineTo([origin.target], {}, told)
      const answer = request({ port, method: 'POST', body: 'x'.repeat(300_000) })
      await until('it waits', () => told.targets.waiting.length === 1)
      expect(origin.accepted()).toBe(0)
      told.targets.waiting[0]?.let()
      expect((await answer).body.toString()).toBe('300000')
      await ended(told, 1)
    })

    test('a client that leaves the queue is known there, and a target that comes too late is given back', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('ok')))
      const told = services()
      told.targets.hold = true
      const { engine, port } = await engineTo([origin.target], {}, told)
      for (const bytes of [ask, handshake]) {
        const client = await RawClient.connect(port)
        const before = told.targets.waiting.length
        client.write(bytes)
        await until('it waits', () => told.targets.waiting.length === before + 1)
        client.destroy()
        await until('the queue is told', () => told.targets.waiting[before]?.signal?.aborted === true)
        told.targets.waiting[before]?.let()
      }
      const ends = await ended(told, 2)
      expect(ends.map(({ status }) => status)).toEqual([0, 0])
      expect(told.targets.outcomes).toEqual([{ kind: 'client-left' }, { kind: 'client-left' }])
      expect(engine.inFlight(['app'])).toEqual({ app: 0 })
      expect(origin.accepted()).toBe(0)
    })

    test('a queue that ends in a problem shows it', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('ok')))
      const told = services()
      told.targets.problem = { kind: 'no-target', host: 'app.test', projectName: 'shop' }
      const { port } = await engineTo([origin.target], {}, told)
      expect((await request({ port })).status).toBe(503)
      expect(await rawRequest(port, handshake, (text) => text.includes('}'))).toMatch(/^HTTP\/1.1 503 /)
      expect((await ended(told, 2)).map(({ reason }) => reason)).toEqual(['no-target', 'no-target'])
    })

    test('the cookie of a sticky target is added to the answer, and the visitor’s can be read', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\nContent-Length: 2\r\n\r\nok'))
      const told = services()
      told.targets.setCookie = 'stick=app; Path=/'
      const { port } = await engineTo([origin.target], {}, told)
      const answer = await request({ port, headers: { Cookie: 'stick=old' } })
      expect(answer.headers['set-cookie']).toEqual(['own=1', 'stick=app; Path=/'])
      expect(told.targets.asks[0]?.cookie()).toBe('stick=old')
    })

    test('the cookie of a sticky target is added to a switch of protocols, too', async () => {
      const origin = await keep(
        scriptedOrigin('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'),
      )
      const told = services()
      told.targets.setCookie = 'stick=app; Path=/'
      const { port } = await engineTo([origin.target], {}, told)
      expect(await rawRequest(port, handshake, (text) => text.includes('\r\n\r\n'))).toMatch(/\r\nSet-Cookie: stick=app; Path=\/\r\n/i)
    })

    test('clients that leave before and within the answer count once', async () => {
      const origin = await keep(rawOrigin(() => {}))
      const told = services()
      const { port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 }, told)
      const early = await RawClient.connect(port)
      early.write(ask)
      await until('it is at the instance', () => origin.connections.length === 1)
      early.destroy()
      await until('it ended', () => told.observer.ends.length === 1)
      const late = await RawClient.connect(port)
      late.write(ask)
      await until('it is at the instance', () => origin.connections.length === 2)
      origin.connections[1]?.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf')
      await late.read((text) => text.includes('half'))
      late.destroy()
      const ends = await ended(told, 2)
      expect(ends.map(({ status }) => status)).toEqual([0, 200])
      expect(told.targets.outcomes[0]).toEqual({ kind: 'client-left' })
    })

    test('an upgraded connection counts once, when it is over, with what it carried', async () => {
      const origin = await keep(
        rawOrigin(({ bytes, socket }) => {
          if (bytes.toString('latin1').endsWith('\r\n\r\n'))
            socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n')
          else socket.write('x'.repeat(2000))
        }),
      )
      const told = services()
      const { engine, port } = await engineTo([origin.target], {}, told)
      const client = await RawClient.connect(port)
      client.write(handshake)
      await client.read((text) => text.includes('\r\n\r\n'))
      expect(told.observer.ends).toHaveLength(0)
      expect(engine.inFlight(['raw'])).toEqual({ raw: 1 })
      client.write('y'.repeat(1000))
      await client.read((text) => text.endsWith('x'.repeat(2000)))
      client.destroy()
      const [end] = await ended(told, 1)
      expect(end).toMatchObject({ status: 101, instanceId: 'raw', words: { protocol: 'websocket' } })
      expect(end?.bytesIn).toBeGreaterThanOrEqual(1000)
      expect(end?.bytesOut).toBeGreaterThanOrEqual(2000)
      expect(told.targets.outcomes).toMatchObject([{ kind: 'answered', status: 101 }])
    })

    const openTunnel = async () => {
      const answer = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'
      const origin = await keep(scriptedOrigin(answer))
      const told = services()
      const { port } = await engineTo([origin.target], {}, told)
      const client = await RawClient.connect(port)
      client.write(handshake)
      await client.read((text) => text.includes('\r\n\r\n'))
      return { origin, told, client }
    }

    test.each(['the client', 'the instance'])('a tunnel whose end %s says first is answered: no fault of its instance', async (first) => {
      const { origin, told, client } = await openTunnel()
      client.socket.on('end', () => client.socket.end())
      if (first === 'the client') client.socket.end()
      else origin.connections[0]?.socket.end()
      const [end] = await ended(told, 1)
      expect(end).toMatchObject({ status: 101, reason: null })
      expect(told.targets.outcomes).toMatchObject([{ kind: 'answered', status: 101 }])
    })

    test('a tunnel that its instance breaks was answered all the same: it says nothing of the next request', async () => {
      const { origin, told, client } = await openTunnel()
      origin.connections[0]?.socket.resetAndDestroy()
      await client.read()
      await ended(told, 1)
      expect(told.targets.outcomes).toMatchObject([{ kind: 'answered', status: 101 }])
    })

    test('what a drain cuts is counted by the time it has ended: nobody counts after that', async () => {
      const origin = await keep(
        scriptedOrigin((head) =>
          head.includes('/chat')
            ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'
            : 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf',
        ),
      )
      const told = services()
      const { engine, port } = await engineTo([origin.target], {}, told)
      const [tunnel, slow] = [await RawClient.connect(port), await RawClient.connect(port)]
      tunnel.write(handshake)
      slow.write(ask)
      await tunnel.read((text) => text.includes('\r\n\r\n'))
      await slow.read((text) => text.endsWith('half'))
      expect(await engine.drain({ deadlineMs: 100, idleGraceMs: 10 })).toEqual({ cut: 2 })
      expect(told.observer.ends.map(({ status }) => status).sort()).toEqual([101, 200])
      await until('their places are given back', () => told.targets.outcomes.length === 2)
    })

    test('a handshake to an instance that refuses goes to another one, once, and what came with it too', async () => {
      const told = services()
      const answer = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst'
      const alive = await keep(scriptedOrigin(answer, 'alive'))
      const gone = await keep(rawOrigin(() => {}, 'gone'))
      await gone.close()
      const { port } = await engineTo([gone.target, alive.target], {}, told)
      const client = await RawClient.connect(port)
      client.write(`${handshake}early`)
      await client.read((text) => text.endsWith('first'))
      client.write(' and later')
      await until('all of it arrives once', () => alive.text().endsWith('\r\n\r\nearly and later'))
      client.destroy()
      const [end] = await ended(told, 1)
      expect(end).toMatchObject({ status: 101, instanceId: 'alive' })
      expect(told.targets.asks.map((one) => one.avoid?.instanceId)).toEqual([undefined, 'gone'])
      expect(told.targets.outcomes).toMatchObject([
        { kind: 'fault', fault: 'refused' },
        { kind: 'answered', status: 101 },
      ])
      await alive.close()
      expect(await rawRequest(port, handshake)).toMatch(/^HTTP\/1.1 502 /)
      expect(told.targets.asks).toHaveLength(4)
    })

    test('handshakes that fail or are refused count once', async () => {
      const reset = await keep(rawOrigin((connection) => connection.socket.destroy()))
      const told = services()
      const gate = new ScriptedGate((route, facts) => (facts.path === '/no' ? { kind: 'answer', answer: localAnswer(403, 'no') } : plan(route)))
      const { port } = await engineTo([reset.target], {}, { ...told, gate })
      await rawRequest(port, handshake)
      await rawRequest(port, handshake.replace('/chat', '/no'))
      await rawRequest(port, handshake.replace('app.test', 'other.test'))
      const ends = await ended(told, 3)
      expect(ends.map(({ status }) => status)).toEqual([502, 403, 404])
      expect(told.targets.outcomes).toEqual([{ kind: 'fault', fault: 'reset' }])
    })
  })
}
