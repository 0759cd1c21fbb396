import net, { type AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { start } from '@/shared/node/exec'
import type { Target } from '@/shared/route-table'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { RecordingTargets } from './scripted'
import { hostTable, httpOrigin, type OriginConnection, RawClient, rawOrigin, rawRequest, request, routeTo, scriptedOrigin, until } from './testing'

/** Returns a port without a listener. */
async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** A stopped listener with a full queue: the kernel drops further connection attempts, as if the machine were down. */
async function blackHole(): Promise<{ target: Target; close(): Promise<void> }> {
  const script = "const s=require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},()=>{console.log(s.address().port)})"
  const child = start([process.execPath, '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve) => child.stdout?.once('data', (text: Buffer) => resolve(Number(text.toString()))))
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.1').on('error', () => {}))
  await until('the queue is full', () => fillers.filter((socket) => socket.connecting).length > 0 && fillers.some((socket) => !socket.connecting))
  return {
    target: { instanceId: 'hole', host: '127.0.0.1', port },
    close: async () => {
      for (const socket of fillers) socket.destroy()
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGKILL')
      await gone
    },
  }
}

function drop(connection: OriginConnection): null {
  connection.socket.destroy()
  return null
}

export function faultContract(createEngine: EngineFactory): void {
  describe('faults of an instance', () => {
    const { keep, engineTo, engineWith } = useEngine(createEngine)

    /** Checks status and text of the error page for a browser and a tool, and that no request remains counted. */
    const expectPage = async (targets: Target[], status: number, words: RegExp) => {
      const { engine, port } = await engineTo(targets)
      const json = await request({ port, headers: { Accept: 'application/json' } })
      expect(json.status).toBe(status)
      const { error } = JSON.parse(json.body.toString())
      expect(error.message).toMatch(words)
      expect(error.requestId).toBe(json.headers['x-request-id'])
      expect(error.nextAction).toBeTruthy()
      const html = await request({ port, headers: { Accept: 'text/html,*/*;q=0.8' } })
      expect(html.status).toBe(status)
      expect(html.headers['content-type']).toBe('text/html; charset=utf-8')
      expect(html.body.toString()).toContain(String(html.headers['x-request-id']))
      const ids = targets.map((target) => target.instanceId)
      await until('nothing is in flight', () => Object.values(engine.inFlight(ids)).every((count) => count === 0))
    }

    test('refused: 502', async () => {
      await expectPage([{ instanceId: 'none', host: '127.0.0.1', port: await freePort() }], 502, /refused the connection/)
    })

    test('no connection in time: 504', async () => {
      const hole = await keep(blackHole())
      await expectPage([hole.target], 504, /No connection/)
    })

    test('reset before the answer: 502', async () => {
      const origin = await keep(rawOrigin((connection) => connection.socket.resetAndDestroy()))
      await expectPage([origin.target], 502, /closed the connection before its answer/)
    })

    test('closed within the head of the answer: 502', async () => {
      const origin = await keep(rawOrigin((connection) => connection.socket.end('HTTP/1.1 200 OK\r\nContent-')))
      await expectPage([origin.target], 502, /closed the connection before its answer|cannot be read/)
    })

    test('silence: 504', async () => {
      const origin = await keep(rawOrigin(() => {}))
      await expectPage([origin.target], 504, /sent nothing for 1 s/)
    })

    test.each([
      ['not HTTP at all', '\x15\x03\x01\x00\x02\x02\x46\r\n\r\n'],
      ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
      ['length beside chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['a coding nobody here can undo', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
      ['a version to come', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
      ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ])('an answer with %s: 502', async (_what, answer) => {
      const origin = await keep(scriptedOrigin(answer))
      await expectPage([origin.target], 502, /cannot be read as an HTTP answer/)
    })

    test('101 to a request that asked for none: 502', async () => {
      const origin = await keep(scriptedOrigin('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
      await expectPage([origin.target], 502, /./)
    })

    const cut: [string, (connection: OriginConnection) => void][] = [
      ['cut within a length', ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')],
      ['cut within chunks', ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
      ['with a bad chunk', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n')],
      ['silent within chunks', ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
    ]
    test.each(cut)('an answer %s breaks the connection: the client knows that it is incomplete', async (_what, act) => {
      const origin = await keep(rawOrigin(act))
      const { engine, port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      expect(text).toMatch(/^HTTP\/1.1 200 /)
      expect(text).toContain('half')
      expect(text).not.toMatch(/\r\n0\r\n\r\n$/)
      await expect(request({ port })).rejects.toThrow()
      await until('nothing is in flight', () => engine.inFlight(['raw']).raw === 0)
    })

    test('a kept connection that closed meanwhile costs a request of a safe method nothing', async () => {
      const served = new Set<OriginConnection>()
      const origin = await keep(
        scriptedOrigin((head, connection) => {
          // The first request of a connection is answered; then the connection closes, as after an idle timeout of the instance.
          if (served.has(connection) || head.startsWith('POST')) return drop(connection)
          served.add(connection)
          return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        }),
      )
      const { port } = await engineTo([origin.target])
      for (let i = 0; i < 6; i++) expect((await request({ port })).status).toBe(200)
    })

    test('a request with a body, or one that may not be repeated, is never sent twice', async () => {
      const served = new Set<OriginConnection>()
      let posts = 0
      const origin = await keep(
        scriptedOrigin((head, connection) => {
          if (!head.startsWith('GET')) posts++
          if (served.has(connection)) return drop(connection)
          served.add(connection)
          return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        }),
      )
      const { port } = await engineTo([origin.target])
      await request({ port })
      expect((await request({ port, method: 'POST' })).status).toBe(502)
      await request({ port })
      expect((await request({ port, method: 'PUT', body: 'x' })).status).toBe(502)
      await request({ port })
      expect((await request({ port, method: 'DELETE' })).status).toBe(502)
      expect(posts).toBe(3)
    })

    test('a reset on a new connection is not repeated', async () => {
      const origin = await keep(rawOrigin((connection) => connection.socket.destroy()))
      const { port } = await engineTo([origin.target])
      expect((await request({ port })).status).toBe(502)
      expect(origin.connections).toHaveLength(1)
    })

    test('an instance that refuses is passed over when there is another', async () => {
      const alive = await keep(httpOrigin((_req, res) => res.end('alive'), 'alive'))
      const { port } = await engineTo([{ instanceId: 'dead', host: '127.0.0.1', port: await freePort() }, alive.target])
      for (let i = 0; i < 6; i++) expect((await request({ port })).body.toString()).toBe('alive')
    })

    test('one to which there is no connection in time, too: nothing of the request was sent, whatever its method', async () => {
      const hole = await keep(blackHole())
      const alive = await keep(httpOrigin((_req, res) => res.end('alive'), 'alive'))
      const { port } = await engineTo([hole.target, alive.target])
      const posts = await Promise.all(Array.from({ length: 4 }, () => request({ port, method: 'POST' })))
      expect(posts.map((answer) => answer.body.toString())).toEqual(Array.from({ length: 4 }, () => 'alive'))
    })

    test.each([
      ['the successor of an instance that is gone is asked', 'p', 200],
      ['a host that went to another project meanwhile is not', 'another', 502],
    ])('in the newest table: %s', async (_what, projectId, status) => {
      const alive = await keep(httpOrigin((_req, res) => res.end('alive'), 'alive'))
      const gone = { instanceId: 'gone', host: '127.0.0.1', port: await freePort() }
      // The table changes between the choice of the target and the connection.
      const targets = new RecordingTargets()
      const acquire = targets.acquire.bind(targets)
      targets.acquire = (route, ask) => {
        engine.apply(hostTable([routeTo('app.test', [alive.target], { projectId })]))
        return acquire(route, ask)
      }
      const { engine, port } = await engineTo([gone], {}, { targets })
      expect((await request({ port })).status).toBe(status)
      expect(targets.outcomes.map(({ kind }) => kind)).toEqual(status === 200 ? ['fault', 'answered'] : ['fault'])
    })

    test('a failing app leaves its neighbour alone', async () => {
      const hung = await keep(rawOrigin(() => {}, 'hung'))
      const fine = await keep(httpOrigin((_req, res) => res.end('fine'), 'fine'))
      const { port } = await engineWith([routeTo('hung.test', [hung.target]), routeTo('fine.test', [fine.target])])
      const waiting = Array.from({ length: 50 }, () => request({ port, host: 'hung.test' }))
      for (let i = 0; i < 20; i++) expect((await request({ port, host: 'fine.test' })).status).toBe(200)
      expect((await Promise.all(waiting)).every((answer) => answer.status === 504)).toBe(true)
    })

    test.each([
      ['not-deployed', 503, /not deployed yet/],
      ['stopped', 503, /is not live/],
      ['failed', 503, /failed/],
      ['live', 503, /no running instance/],
    ] as const)('a route that is %s and has no target: %d with its reason', async (state, status, words) => {
      const { port } = await engineWith([routeTo('app.test', [], { state, projectName: '<b>shop</b>' })])
      const answer = await request({ port, headers: { Accept: 'text/html' } })
      expect(answer.status).toBe(status)
      expect(answer.body.toString()).toMatch(words)
      expect(answer.body.toString()).not.toContain('<b>shop')
    })

    test('an unknown host: 404 that names it', async () => {
      const { port } = await engineWith([])
      const answer = await request({ port, host: 'nobody.test', method: 'POST', body: 'x'.repeat(100_000), headers: { Accept: 'text/html' } })
      expect(answer.status).toBe(404)
      expect(answer.body.toString()).toContain('nobody.test')
      expect(answer.body.toString()).toContain('http://localhost:3000')
    })
  })

  describe('slow clients', () => {
    const { keep, engineTo } = useEngine(createEngine)

    test('a head that does not end is given up', async () => {
      const { port } = await engineTo([])
      const client = await RawClient.connect(port)
      client.write('GET / HTTP/1.1\r\nHost: app')
      expect(await client.read()).toMatch(/^HTTP\/1.1 408 |^$/)
      client.destroy()
    })

    test('a body that stops coming is given up', async () => {
      const origin = await keep(httpOrigin((req) => req.resume()))
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const client = await RawClient.connect(port)
      client.write('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nhalf')
      expect(await client.read()).toMatch(/^HTTP\/1.1 408 |^$/)
      await until('nothing is in flight', () => engine.inFlight(['app']).app === 0)
      client.destroy()
    })

    test('a client that does not read its answer is given up', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end(Buffer.alloc(64 * 1024 * 1024))))
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 60_000 })
      const client = await RawClient.connect(port)
      client.socket.pause()
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await until('the request is open', () => engine.inFlight(['app']).app === 1)
      await until('it is given up', () => engine.inFlight(['app']).app === 0)
      client.destroy()
    })
  })
}
