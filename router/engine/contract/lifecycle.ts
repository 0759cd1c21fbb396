import http from 'node:http'
import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { hostTable, httpOrigin, testLimits as limits, openServices, quietLog, RawClient, request, routeTo, until } from './testing'

export function lifecycleContract(createEngine: EngineFactory): void {
  describe('tables and ends', () => {
    const { keep, engineTo } = useEngine(createEngine)

    test('a table that is swapped under load costs no request, and new ones go to the new instance at once', async () => {
      // Some responses are slow, so that requests are in flight at each switch.
      const answerAs = (name: string) => (req: http.IncomingMessage, res: http.ServerResponse) => {
        req.resume()
        setTimeout(() => res.end(name), Math.random() < 0.2 ? 20 : 0)
      }
      const blue = await keep(httpOrigin(answerAs('blue'), 'blue'))
      const green = await keep(httpOrigin(answerAs('green'), 'green'))
      const { engine, port } = await engineTo([blue.target])
      const agent = new http.Agent({ keepAlive: true })
      let running = true
      let served = 0
      const faults: string[] = []
      const load = Array.from({ length: 16 }, async (_, i) => {
        while (running) {
          const answer = await request({ port, agent, method: i % 2 ? 'POST' : 'GET', body: i % 2 ? 'body' : undefined }).catch((error: Error) => ({
            status: 0,
            body: error.message,
          }))
          if (answer.status !== 200) faults.push(`${answer.status} ${answer.body}`)
          served++
        }
      })
      for (let swap = 0; swap < 20; swap++) {
        const [target, other, name] = swap % 2 ? [blue.target, 'green', 'blue'] : [green.target, 'blue', 'green']
        engine.apply(hostTable([routeTo('app.test', [target])]))
        expect((await request({ port })).body.toString()).toBe(name)
        await until('the old instance drains', () => engine.inFlight([other])[other] === 0)
      }
      running = false
      await Promise.all(load)
      agent.destroy()
      expect(faults).toEqual([])
      expect(served).toBeGreaterThan(100)
    }, 60_000)

    test('an instance that left the table finishes what it has, then loses its connections', async () => {
      let finish: (() => void) | undefined
      const old = await keep(
        httpOrigin((req, res) => {
          if (req.url !== '/slow') return void res.end('quick')
          res.write('part')
          finish = () => res.end(' whole')
        }, 'old'),
      )
      const { engine, port } = await engineTo([old.target])
      const slow = request({ port, path: '/slow' })
      await until('the slow request is under way', () => finish !== undefined)
      await request({ port })
      await until('an idle connection is kept', () => old.open() === 2)
      engine.apply(hostTable([]))
      await until('the idle connection is closed', () => old.open() === 1)
      expect(engine.inFlight(['old', 'never'])).toEqual({ old: 1, never: 0 })
      expect((await request({ port })).status).toBe(404)
      finish?.()
      expect((await slow).body.toString()).toBe('part whole')
      await until('the last connection is closed', () => old.open() === 0)
      expect(engine.inFlight(['old'])).toEqual({ old: 0 })
    })

    test('drain: nothing new is accepted, what is open finishes and says Connection: close, idle connections end', async () => {
      let finish: (() => void) | undefined
      const origin = await keep(
        httpOrigin((req, res) => {
          if (req.url === '/slow') finish = () => res.end('done')
          else res.end('quick')
        }),
      )
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const idle = await RawClient.connect(port)
      idle.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await idle.read((text) => text.endsWith('quick'))
      const silent = await RawClient.connect(port)
      const slow = request({ port, path: '/slow' })
      await until('the slow request is under way', () => finish !== undefined)
      const drained = engine.drain({ deadlineMs: 20_000, idleGraceMs: 50 })
      await until('new connections are refused', async () =>
        request({ port }).then(
          () => false,
          () => true,
        ),
      )
      await until('idle connections are closed', () => idle.socket.readableEnded && silent.socket.readableEnded)
      finish?.()
      const answer = await slow
      expect(answer.body.toString()).toBe('done')
      expect(answer.headers.connection).toBe('close')
      expect(await drained).toEqual({ cut: 0 })
      idle.destroy()
      silent.destroy()
    })

    test('drain: a busy keep-alive client loses no request', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('quick')))
      const { engine, port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      const ask = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
      client.write(ask)
      await client.read((text) => text.endsWith('quick'))
      const drained = engine.drain({ deadlineMs: 5_000, idleGraceMs: 2_000 })
      client.write(ask)
      const text = await client.read()
      expect(text.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2)
      expect(text).toMatch(/connection: close/i)
      expect(await drained).toEqual({ cut: 0 })
      client.destroy()
    })

    test('drain: who closes the engine meanwhile ends it at once', async () => {
      const origin = await keep(httpOrigin(() => {}))
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const hung = request({ port }).catch((error: Error) => error)
      await until('the request is under way', () => engine.inFlight(['app']).app === 1)
      const drained = engine.drain({ deadlineMs: 20_000, idleGraceMs: 10 })
      await new Promise((resolve) => setTimeout(resolve, 50))
      await engine.close()
      expect(await hung).toBeInstanceOf(Error)
      expect(await drained).toEqual({ cut: 0 })
    })

    test('drain: what is still open at the deadline is cut', async () => {
      const origin = await keep(httpOrigin(() => {}))
      const { engine, port } = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const hung = request({ port }).catch((error: Error) => error)
      await until('the request is under way', () => engine.inFlight(['app']).app === 1)
      expect(await engine.drain({ deadlineMs: 100, idleGraceMs: 10 })).toEqual({ cut: 1 })
      expect(await hung).toBeInstanceOf(Error)
    })

    test('two engines share a port when asked to', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('ok')))
      const table = hostTable([routeTo('app.test', [origin.target])])
      const make = () => keep(createEngine({ limits, table, log: quietLog, ...openServices(table) }))
      const first = await make()
      const second = await make()
      const { port } = await first.listen({ host: '127.0.0.1', port: 0, reusePort: true })
      await second.listen({ host: '127.0.0.1', port, reusePort: true })
      await first.drain({ deadlineMs: 100, idleGraceMs: 10 })
      expect((await request({ port })).status).toBe(200)
    })
  })
}
