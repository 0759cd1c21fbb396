import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { shakeHands, type TestAuthority, type TestTlsOptions, testAuthority, testTls } from '../../tls/testing'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { CountingObserver, plan, ScriptedGate } from './scripted'
import { type Answer, httpOrigin, RawClient, routeTo, scriptedOrigin, until } from './testing'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export function tlsContract(createEngine: EngineFactory): void {
  describe('TLS', () => {
    const { keep, engineTo } = useEngine(createEngine)
    let authority: TestAuthority
    beforeAll(async () => {
      authority = await testAuthority()
    })

    /** Adds a TLS listener to an engine. */
    const secure = async (to: Awaited<ReturnType<typeof engineTo>>, options: TestTlsOptions = {}) => {
      const certificates = options.certificates ?? [await authority.issue(['app.test'])]
      const tlsEdge = await keep(testTls({ ...options, certificates }))
      const { port } = await to.engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, tls: tlsEdge.edge })
      return { ...tlsEdge, port }
    }
    const ca = () => ({ ca: authority.certificatePem })
    const get = (port: number, options: https.RequestOptions = {}) =>
      new Promise<Answer>((resolve, reject) => {
        const headers = { Host: 'app.test', ...options.headers }
        const asking = https.request({ port, host: '127.0.0.1', servername: 'app.test', agent: false, ...ca(), ...options, headers }, (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, trailers: answer.trailers, body: Buffer.concat(chunks) }),
          )
        })
        asking.on('error', reject)
        asking.end()
      })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)('a request over %s: the instance and the gate know it was encrypted', async (version) => {
      const origin = await keep(scriptedOrigin(ok))
      const gate = new ScriptedGate((route) => plan(route))
      const observer = new CountingObserver()
      const { port } = await secure(await engineTo([origin.target], {}, { gate, observer }))
      const answer = await get(port, { minVersion: version, maxVersion: version, path: '/a?b' })
      expect(answer.body.toString()).toBe('ok')
      expect(origin.text()).toMatch(/\r\nX-Forwarded-Proto: https\r\n/)
      expect(origin.text()).toMatch(new RegExp(`\r\nX-Forwarded-Port: ${port}\r\n`))
      expect(origin.text()).toMatch(/\r\nX-Forwarded-For: 127.0.0.1\r\n/)
      expect(gate.seen[0]).toMatchObject({ scheme: 'https', clientIp: '127.0.0.1', host: 'app.test' })
      await until('the end is told', () => observer.ends.length === 1)
      expect(observer.ends[0]?.words).toMatchObject({ scheme: 'https', protocol: 'http/1.1' })
    })

    test('many requests, large bodies and answers over one connection', async () => {
      const origin = await keep(
        httpOrigin((req, res) => {
          let bytes = 0
          req.on('data', (chunk: Buffer) => {
            bytes += chunk.length
          })
          req.on('end', () => res.end(Buffer.alloc(bytes, 'z')))
        }),
      )
      const { port } = await secure(await engineTo([origin.target]))
      const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...ca(), servername: 'app.test' })
      for (const size of [0, 1, 16_384, 16_385, 3_000_000]) {
        const bytes = await new Promise<number>((resolve, reject) => {
          const asking = https.request({ port, host: '127.0.0.1', method: 'POST', agent, headers: { Host: 'app.test' } }, (answer) => {
            let got = 0
            answer.on('data', (chunk: Buffer) => {
              got += chunk.length
            })
            answer.on('end', () => resolve(got))
          })
          asking.on('error', reject)
          asking.end(Buffer.alloc(size))
        })
        expect(bytes).toBe(size)
      }
      agent.destroy()
    })

    test('a WebSocket over TLS carries messages both ways and closes as it should', async () => {
      const origin = await keep(httpOrigin((_req, res) => res.end('plain')))
      const sockets = new WebSocketServer({ server: origin.server })
      sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)))
      const to = await engineTo([origin.target])
      const { port } = await secure(to)
      const client: tls.ConnectionOptions & { headers: Record<string, string> } = { ...ca(), servername: 'app.test', headers: { Host: 'app.test' } }
      const socket = new WebSocket(`wss://127.0.0.1:${port}/`, client)
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
      expect(to.engine.inFlight(['app'])).toEqual({ app: 1 })
      const large = Buffer.alloc(2_000_000, 7)
      const back = new Promise<Buffer>((resolve) => socket.once('message', (message) => resolve(message as Buffer)))
      socket.send(large)
      expect((await back).equals(large)).toBe(true)
      socket.close(4000)
      expect(await new Promise((resolve) => socket.once('close', resolve))).toBe(4000)
      await until('nothing is in flight', () => to.engine.inFlight(['app']).app === 0)
    })

    test('a client that leaves aborts its request at the instance', async () => {
      const origin = await keep(scriptedOrigin(() => null))
      const to = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const { port } = await secure(to)
      const { socket } = await shakeHands(port, 'app.test', ca())
      socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await until('it is at the instance', () => origin.connections.length === 1)
      socket.destroy()
      await until('the instance connection is closed', () => origin.connections[0]?.closed === true)
      expect(to.engine.inFlight(['raw'])).toEqual({ raw: 0 })
    })

    test('the certificate is chosen by name: exact before wildcard, in any case; others are refused', async () => {
      const certificates = [
        await authority.issue(['app.test', 'www.app.test']),
        await authority.issue(['*.wild.test']),
        await authority.issue(['own.wild.test']),
      ]
      const { port } = await secure(await engineTo([]), { certificates })
      const namesFor = async (name: string) => {
        const { socket, names } = await shakeHands(port, name, { ...ca(), checkServerIdentity: () => undefined })
        socket.destroy()
        return names
      }
      expect(await namesFor('app.test')).toBe('DNS:app.test, DNS:www.app.test')
      expect(await namesFor('WWW.App.Test')).toBe('DNS:app.test, DNS:www.app.test')
      expect(await namesFor('any.wild.test')).toBe('DNS:*.wild.test')
      expect(await namesFor('own.wild.test')).toBe('DNS:own.wild.test')
      for (const name of ['other.test', 'wild.test', 'a.b.wild.test', 'xapp.test', ''])
        await expect(shakeHands(port, name, ca())).rejects.toThrow(/alert/i)
    })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: a session of one worker is resumed by another', async (version) => {
      const origin = await keep(scriptedOrigin(ok))
      const first = await secure(await engineTo([origin.target]))
      const second = await secure(await engineTo([origin.target]), first)
      const only = { minVersion: version, maxVersion: version, ...ca() }
      const { socket, session } = await shakeHands(first.port, 'app.test', only)
      socket.on('data', () => {})
      socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      const again = await shakeHands(second.port, 'app.test', { ...only, session: await session })
      expect(again.resumed).toBe(true)
      expect(again.alpn).toBe('http/1.1')
      again.socket.destroy()
      socket.destroy()
    })

    test('after a rotation of the ticket key, an older session costs a full handshake and new ones resume', async () => {
      const to = await engineTo([])
      const { port, sessionKeys } = await secure(to)
      const sessionFrom = async (options: tls.ConnectionOptions) => {
        const { socket, resumed, session } = await shakeHands(port, 'app.test', { ...ca(), ...options })
        socket.resume()
        const came = await session
        socket.destroy()
        return { session: came, resumed }
      }
      const before = await sessionFrom({})
      sessionKeys.rotateNow()
      const after = await sessionFrom({ session: before.session })
      expect(after.resumed).toBe(false)
      const { socket, resumed } = await shakeHands(port, 'app.test', { ...ca(), session: after.session })
      expect(resumed).toBe(true)
      socket.destroy()
    })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: a CA finds its challenge, visitors their certificate', async (version) => {
      const to = await engineTo([])
      const { port, edge } = await secure(to)
      const only = { minVersion: version, maxVersion: version, rejectUnauthorized: false }
      const asCa = { ...only, ALPNProtocols: ['acme-tls/1'] }
      await expect(shakeHands(port, 'app.test', asCa)).rejects.toThrow(/alert/i)
      const pending = await authority.issue(['challenge.test'])
      const alpn = { certificatePem: pending.chainPem, keyPem: pending.keyPem }
      edge.challenges({ 'app.test': alpn, 'new.test': alpn })
      for (const name of ['app.test', 'new.test']) {
        const { socket, alpn: chosen, names } = await shakeHands(port, name, asCa)
        expect(`${chosen} ${names}`).toBe('acme-tls/1 DNS:challenge.test')
        socket.resume()
        await until('the connection is closed', () => socket.destroyed)
      }
      const visitor = await shakeHands(port, 'app.test', { ...only, ALPNProtocols: ['http/1.1'] })
      expect(visitor.names).toBe('DNS:app.test')
      visitor.socket.destroy()
      edge.challenges({})
      await expect(shakeHands(port, 'app.test', asCa)).rejects.toThrow(/alert/i)
      await expect(shakeHands(port, 'new.test', only)).rejects.toThrow(/alert/i)
    })

    test('a renewed certificate is served from now on, and open connections go on', async () => {
      const origin = await keep(scriptedOrigin(ok))
      const { port, edge, certificates } = await secure(await engineTo([origin.target]), { certificates: [await authority.issue(['app.test'])] })
      const open = await shakeHands(port, 'app.test', ca())
      let text = ''
      open.socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      const renewed = await authority.issue(['app.test'], { notAfterMs: 80 * 86_400_000 })
      certificates.push(renewed)
      await edge.apply([renewed.entry])
      const { socket, notAfter } = await shakeHands(port, 'app.test', ca())
      expect(notAfter).toBe(renewed.entry.notAfter)
      expect(open.notAfter).toBeLessThan(notAfter)
      socket.destroy()
      open.socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await until('the open connection is served', () => text.endsWith('ok'))
      open.socket.destroy()
    })

    test('old versions, no common protocol and plain HTTP are refused without harm', async () => {
      const origin = await keep(scriptedOrigin(ok))
      const observer = new CountingObserver()
      const { port } = await secure(await engineTo([origin.target], {}, { observer }))
      await expect(shakeHands(port, 'app.test', { ...ca(), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' })).rejects.toThrow()
      await expect(shakeHands(port, 'app.test', { ...ca(), ALPNProtocols: ['spdy/3'] })).rejects.toThrow(/alert/i)
      const plain = await RawClient.connect(port)
      plain.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      expect(await plain.read()).not.toMatch(/HTTP\/1/)
      plain.destroy()
      expect((await get(port)).status).toBe(200)
      await until('the request is told', () => observer.ends.length === 1)
    })

    test('a handshake that stalls is given up, one whose head stalls too', async () => {
      const { port } = await secure(await engineTo([]), { handshakeTimeoutMs: 300 })
      const silent = await RawClient.connect(port)
      const half = await RawClient.connect(port)
      half.write(Buffer.from('160301010001', 'hex'))
      await until('both are closed', () => silent.socket.readableEnded && half.socket.readableEnded)
      silent.destroy()
      half.destroy()
      const { socket } = await shakeHands(port, 'app.test', ca())
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      socket.write('GET / HTTP/1.1\r\nHost: app')
      await until('it is given up', () => socket.readableEnded || socket.destroyed)
      expect(text).toMatch(/^HTTP\/1.1 408 |^$/)
      socket.destroy()
    })

    test('drain: TLS connections end as plain ones do', async () => {
      let finish: (() => void) | undefined
      const origin = await keep(
        httpOrigin((_req, res) => {
          finish = () => res.end('done')
        }),
      )
      const to = await engineTo([origin.target], { upstreamTimeoutMs: 20_000 })
      const { port } = await secure(to, { handshakeTimeoutMs: 20_000 })
      const idle = await shakeHands(port, 'app.test', ca())
      idle.socket.resume()
      const stalled = await RawClient.connect(port)
      const slow = get(port)
      await until('the slow request is under way', () => finish !== undefined)
      const drained = to.engine.drain({ deadlineMs: 10_000, idleGraceMs: 50 })
      await until('idle connections are closed', () => idle.socket.destroyed && stalled.socket.readableEnded)
      finish?.()
      const answer = await slow
      expect(answer.body.toString()).toBe('done')
      expect(answer.headers.connection).toBe('close')
      expect(await drained).toEqual({ cut: 0 })
      stalled.destroy()
    })
  })

  describe('behind a balancer (PROXY protocol)', () => {
    const { keep, engineWith } = useEngine(createEngine)
    const v1 = 'PROXY TCP4 203.0.113.9 198.51.100.1 41000 443\r\n'
    const v2 = Buffer.concat([
      Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
      Buffer.from([203, 0, 113, 9, 198, 51, 100, 1, 0xa0, 0x28, 0x01, 0xbb]),
    ])
    const behind = async (secureWith?: TestTlsOptions) => {
      const origin = await keep(scriptedOrigin(ok))
      const gate = new ScriptedGate((route) => plan(route))
      const { engine } = await engineWith([routeTo('app.test', [origin.target])], {}, { gate })
      const tlsEdge = secureWith ? await keep(testTls(secureWith)) : null
      const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, proxyProtocol: true, tls: tlsEdge?.edge ?? null })
      return { origin, gate, port, engine }
    }
    const ask = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'

    test.each([
      ['version 1', Buffer.from(v1)],
      ['version 2', v2],
    ])('%s: the visitor’s address, port and requests, however the bytes arrive', async (_what, header) => {
      const { origin, gate, port } = await behind()
      const whole = await RawClient.connect(port)
      whole.write(Buffer.concat([header, Buffer.from(ask)]))
      await whole.read((text) => text.endsWith('ok'))
      whole.write(ask)
      await whole.read((text) => text.match(/ok/g)?.length === 2)
      const slow = await RawClient.connect(port)
      for (const byte of Buffer.concat([header, Buffer.from(ask)])) {
        slow.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await slow.read((text) => text.endsWith('ok'))
      expect(gate.seen.map((facts) => facts.clientIp)).toEqual(['203.0.113.9', '203.0.113.9', '203.0.113.9'])
      expect(origin.text().match(/X-Forwarded-For: 203.0.113.9\r\n/g)).toHaveLength(3)
      expect(origin.text().match(/X-Forwarded-Port: 443\r\n/g)).toHaveLength(3)
      whole.destroy()
      slow.destroy()
    })

    test('the balancer’s own connection has its own address', async () => {
      const { gate, port } = await behind()
      const client = await RawClient.connect(port)
      client.write(`PROXY UNKNOWN\r\n${ask}`)
      await client.read((text) => text.endsWith('ok'))
      expect(gate.seen[0]?.clientIp).toBe('127.0.0.1')
      client.destroy()
    })

    test.each([
      ['none', ask],
      ['a wrong one', `PROXY TCP4 203.0.113.9 198.51.100.1 41000\r\n${ask}`],
      ['half of one', 'PROXY TCP4 203.'],
    ])('with %s the connection is closed without an answer', async (_what, bytes) => {
      const { origin, port } = await behind()
      const client = await RawClient.connect(port)
      client.write(bytes)
      expect(await client.read()).toBe('')
      expect(origin.connections).toHaveLength(0)
      client.destroy()
    })

    test('before TLS: the address is known within it', async () => {
      const authority = await testAuthority()
      const { gate, port } = await behind({ certificates: [await authority.issue(['app.test'])] })
      const raw = net.connect(port, '127.0.0.1')
      await new Promise((resolve) => raw.once('connect', resolve))
      raw.write(v2)
      const socket = tls.connect({ socket: raw, servername: 'app.test', ca: authority.certificatePem, ALPNProtocols: ['http/1.1'] })
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      socket.write(ask)
      await until('it is answered', () => text.endsWith('ok'))
      expect(gate.seen[0]).toMatchObject({ clientIp: '203.0.113.9', scheme: 'https' })
      socket.destroy()
    })
  })
}
