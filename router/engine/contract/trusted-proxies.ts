import { describe, expect, test } from 'vitest'
import { trustedProxies } from '@/shared/node/trusted-proxies'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { CountingObserver, plan, ScriptedGate } from './scripted'
import { RawClient, rawOrigin, rawRequest, scriptedOrigin, until } from './testing'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export function trustedProxyContract(createEngine: EngineFactory): void {
  describe('behind a trusted proxy (TRUSTED_PROXIES)', () => {
    const { keep, engineTo } = useEngine(createEngine)
    const behind = async (networks: string[]) => {
      const origin = await keep(scriptedOrigin(ok))
      const gate = new ScriptedGate((route) => plan(route))
      const observer = new CountingObserver()
      const { port, engine } = await engineTo([origin.target], {}, { gate, observer, trusts: trustedProxies(networks) })
      const ask = (...lines: string[]) =>
        rawRequest(port, ['GET / HTTP/1.1', 'Host: app.test', ...lines, '', ''].join('\r\n'), (text) => text.endsWith('ok'))
      return { origin, gate, observer, port, engine, ask }
    }
    const lineOf = (text: string, name: string) => new RegExp(`^${name}: (.*)\r$`, 'm').exec(text)?.[1]
    const trusted = ['127.0.0.1', '10.0.0.0/8']

    test('rules, the record and the instance see the visitor; its own claims are cut from the chain', async () => {
      const { origin, gate, observer, ask } = await behind(trusted)
      await ask('X-Forwarded-For: 6.6.6.6, 203.0.113.7', 'X-Forwarded-For: 10.1.2.3', 'X-Forwarded-Proto: https', 'X-Real-IP: 6.6.6.6')
      expect(gate.seen[0]).toMatchObject({ clientIp: '203.0.113.7', scheme: 'https' })
      const head = origin.text()
      expect(lineOf(head, 'X-Forwarded-For')).toBe('203.0.113.7, 10.1.2.3, 127.0.0.1')
      expect(lineOf(head, 'X-Real-IP')).toBe('203.0.113.7')
      expect(lineOf(head, 'X-Forwarded-Proto')).toBe('https')
      expect(lineOf(head, 'X-Forwarded-Port')).toBe('443')
      expect(head).not.toContain('6.6.6.6')
      await until('the end is told', () => observer.ends.length === 1)
      expect(observer.ends[0]?.words).toMatchObject({ clientIp: '203.0.113.7', scheme: 'https' })
    })

    test('each request of one connection has its own visitor, and a malformed one has none', async () => {
      const { origin, gate, observer, port } = await behind(trusted)
      const client = await RawClient.connect(port)
      const visitors = ['203.0.113.7', '2001:db8::9', '203.0.113.8']
      for (const [i, visitor] of visitors.entries()) {
        client.write(`GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: ${visitor}\r\n\r\n`)
        await client.read((text) => text.match(/ok/g)?.length === i + 1)
      }
      client.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
      await client.read((text) => text.match(/ok/g)?.length === 4)
      client.write('GET /\x01 HTTP/1.1\r\n\r\n')
      await client.read()
      await until('the ends are told', () => observer.ends.length === 5)
      expect(observer.ends.map(({ words }) => words.clientIp)).toEqual([...visitors, '127.0.0.1', '127.0.0.1'])
      expect(gate.seen).toHaveLength(4)
      expect(origin.text().match(/^X-Forwarded-For: .*(?=\r$)/gm)).toEqual([
        ...visitors.map((visitor) => `X-Forwarded-For: ${visitor}, 127.0.0.1`),
        'X-Forwarded-For: 127.0.0.1',
      ])
      client.destroy()
    })

    test('a WebSocket has the visitor that its handshake names', async () => {
      const origin = await keep(rawOrigin(() => {}))
      const gate = new ScriptedGate((route) => plan(route))
      const { port } = await engineTo([origin.target], {}, { gate, trusts: trustedProxies(trusted) })
      const client = await RawClient.connect(port)
      client.write(
        'GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: wss\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      await until('the handshake is here', () => origin.text().includes('\r\n\r\n'))
      expect(gate.seen[0]).toMatchObject({ clientIp: '203.0.113.7', scheme: 'https' })
      expect(lineOf(origin.text(), 'X-Forwarded-For')).toBe('203.0.113.7, 127.0.0.1')
      client.destroy()
    })

    test.each([
      ['no setting', []],
      ['a setting that does not name the client', ['10.0.0.0/8', '::1']],
    ])('a stranger says neither its address nor its scheme: %s', async (_what, networks) => {
      const { origin, gate, ask, port } = await behind(networks)
      await ask('X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 6666')
      expect(gate.seen[0]).toMatchObject({ clientIp: '127.0.0.1', scheme: 'http' })
      expect(lineOf(origin.text(), 'X-Forwarded-For')).toBe('127.0.0.1')
      expect(lineOf(origin.text(), 'X-Forwarded-Proto')).toBe('http')
      expect(lineOf(origin.text(), 'X-Forwarded-Port')).toBe(String(port))
      expect(origin.text()).not.toContain('6.6.6.6')
    })

    test('a PROXY header names the client, whose trust decides', async () => {
      const { gate, engine } = await behind(trusted)
      const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, proxyProtocol: true })
      const ask = async (source: string) => {
        const head = `PROXY TCP4 ${source} 198.51.100.1 41000 443\r\nGET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n`
        await rawRequest(port, head, (text) => text.endsWith('ok'))
      }
      await ask('10.9.9.9')
      await ask('198.51.100.200')
      expect(gate.seen.map(({ clientIp }) => clientIp)).toEqual(['203.0.113.7', '198.51.100.200'])
    })
  })
}
