import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { useEngine } from './harness'
import { RawClient, rawRequest, scriptedOrigin, until } from './testing'

const inner = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n'
const head = (lines: string[], first = 'POST / HTTP/1.1') => [first, 'Host: app.test', ...lines, '', ''].join('\r\n')

/** Ambiguous requests. None may reach an instance; some break off in the middle of a body. */
const refused: Record<string, string> = {
  'Content-Length beside Transfer-Encoding': `${head(['Content-Length: 5', 'Transfer-Encoding: chunked'])}0\r\n\r\n${inner}`,
  'Transfer-Encoding beside Content-Length': `${head(['Transfer-Encoding: chunked', 'Content-Length: 5'])}0\r\n\r\n${inner}`,
  'two different Content-Lengths': `${head(['Content-Length: 0', 'Content-Length: 44'])}${inner}`,
  'two equal Content-Lengths': `${head(['Content-Length: 5', 'Content-Length: 5'])}hello`,
  'a list of Content-Lengths': `${head(['Content-Length: 5, 5'])}hello`,
  'a Content-Length with a sign': `${head(['Content-Length: +5'])}hello`,
  'a hexadecimal Content-Length': `${head(['Content-Length: 0x5'])}hello`,
  'a negative Content-Length': `${head(['Content-Length: -5'])}hello`,
  'a Content-Length beyond counting': `${head(['Content-Length: 99999999999999999999'])}hello`,
  'an obs-fold': `${head(['X-A: 1', ' Content-Length: 5'])}hello`,
  'an obs-fold in Transfer-Encoding': `${head(['Transfer-Encoding:', ' chunked'])}0\r\n\r\n${inner}`,
  'bare LF as line end': `POST / HTTP/1.1\nHost: app.test\nContent-Length: 0\n\n${inner}`,
  'bare LF between headers': `POST / HTTP/1.1\r\nHost: app.test\nContent-Length: 0\r\n\r\n${inner}`,
  'bare CR in a value': `POST / HTTP/1.1\r\nHost: app.test\r\nX-A: 1\rContent-Length: 5\r\n\r\nhello`,
  'NUL in a value': `${head(['X-A: 1\0'])}`,
  'a space before the colon': `${head(['Transfer-Encoding : chunked'])}0\r\n\r\n${inner}`,
  'a space before the first header': `POST / HTTP/1.1\r\n Host: app.test\r\n\r\n`,
  'an unknown transfer coding': `${head(['Transfer-Encoding: xchunked'])}0\r\n\r\n${inner}`,
  'a coding before chunked': `${head(['Transfer-Encoding: gzip, chunked'])}0\r\n\r\n${inner}`,
  'a coding after chunked': `${head(['Transfer-Encoding: chunked, identity'])}0\r\n\r\n${inner}`,
  'two Transfer-Encodings': `${head(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'])}0\r\n\r\n${inner}`,
  'quoted chunked': `${head(['Transfer-Encoding: "chunked"'])}0\r\n\r\n${inner}`,
  'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'two Hosts': head(['Host: other.test'], 'GET / HTTP/1.1'),
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'an empty Host': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'a path behind a Host beyond ASCII': 'GET / HTTP/1.1\r\nHost: app.test/evil?\xc3\xa9\r\n\r\n',
  'a tab within a Host beyond ASCII': 'GET / HTTP/1.1\r\nHost: app\t.test\xc2\xad\r\n\r\n',
  'an escape in a Host beyond ASCII': 'GET / HTTP/1.1\r\nHost: %61pp.test\xc2\xad\r\n\r\n',
  'an absolute-form target': head([], 'GET http://app.test/ HTTP/1.1'),
  'an absolute-form target with Upgrade': head(
    ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
    'GET http://169.254.169.254/ HTTP/1.1',
  ),
  'an asterisk target': head([], 'GET * HTTP/1.1'),
  'a target without a slash': head([], 'GET index.html HTTP/1.1'),
  'a fragment in the target': head([], 'GET /a#b HTTP/1.1'),
  'bytes beyond ASCII in the target': head([], 'GET /caf\xe9 HTTP/1.1'),
  'a space in the target': head([], 'GET /a b HTTP/1.1'),
  CONNECT: 'CONNECT app.test:80 HTTP/1.1\r\nHost: app.test:80\r\n\r\n',
  TRACE: head([], 'TRACE / HTTP/1.1'),
  'an unknown version': head([], 'GET / HTTP/1.2'),
  'HTTP/2.0 as a version': head([], 'GET / HTTP/2.0'),
  'a method of RTSP': 'ANNOUNCE /music RTSP/1.0\r\nHost: app.test\r\n\r\n',
  'a method of ICE': 'SOURCE /music ICE/1.0\r\nHost: app.test\r\n\r\n',
  'an unknown method': head([], 'GETT / HTTP/1.1'),
  'a lower-case method': head([], 'get / HTTP/1.1'),
  'a header without a colon': head(['Nonsense']),
  'a header without a name': head([': value']),
  'too many headers': head(
    Array.from({ length: 200 }, (_, i) => `X-${i}: 1`),
    'GET / HTTP/1.1',
  ),
  'a head too large': head([`X-Big: ${'a'.repeat(40_000)}`], 'GET / HTTP/1.1'),
}

/** Bodies with invalid framing after a valid head: the instance must see the connection break, never a complete body. */
const brokenBodies: Record<string, string> = {
  'a chunk size with 0x': '0x5\r\nhello\r\n0\r\n\r\n',
  'a chunk size with underscore': '0_2\r\nhello\r\n0\r\n\r\n',
  'a chunk size with sign': '+5\r\nhello\r\n0\r\n\r\n',
  'a chunk size that overflows': 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  'an empty chunk size': '\r\nhello\r\n0\r\n\r\n',
  'a space before a chunk size': ' 5\r\nhello\r\n0\r\n\r\n',
  'bare LF after a chunk size': '5\nhello\r\n0\r\n\r\n',
  'bare LF after a chunk': '5\r\nhello\n0\r\n\r\n',
  'a chunk longer than its size': '3\r\nhello\r\n0\r\n\r\n',
  'a bare CR in a chunk extension': '5;a\rb\r\nhello\r\n0\r\n\r\n',
  'a bare LF in a chunk extension': `2;\nxx\r\n41\r\n0\r\n\r\n${inner}`,
}

export function smugglingContract(createEngine: EngineFactory): void {
  describe('smuggling', () => {
    const { keep, engineTo } = useEngine(createEngine)
    const ok = () => scriptedOrigin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

    test.each(Object.entries(refused))('%s is refused, and not a byte of it reaches an instance', async (_what, bytes) => {
      const origin = await keep(ok())
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, bytes)
      expect(text).toMatch(/^HTTP\/1.1 (400|405|431|501|505) /)
      expect(text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
      expect(origin.text()).toBe('')
    })

    test('the HTTP/2 preface is refused, or answered in HTTP/2; never read as a request', async () => {
      const origin = await keep(ok())
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', (bytes) => bytes.charCodeAt(3) === 4)
      // A SETTINGS frame of HTTP/2 has type 4 in its fourth byte.
      if (text.charCodeAt(3) !== 4) expect(text).toMatch(/^HTTP\/1.1 (400|405|501|505) /)
      expect(origin.text()).toBe('')
    })

    test.each(Object.entries(brokenBodies))('%s ends both connections', async (_what, body) => {
      // This origin responds only after a complete body.
      const origin = await keep(
        scriptedOrigin((_head, connection) => (connection.bytes.includes('\r\n0\r\n\r\n') ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' : null)),
      )
      const { port } = await engineTo([origin.target])
      const client = await RawClient.connect(port)
      client.write(`${head(['Transfer-Encoding: chunked'])}${body}`)
      const text = await client.read()
      client.destroy()
      expect(text).not.toMatch(/^HTTP\/1.1 200/)
      await until('the instance connection is closed', () => origin.connections.every((connection) => connection.closed))
      expect(origin.text()).not.toContain('smuggled')
      expect(origin.text()).not.toMatch(/0\r\n\r\n$/)
    })

    test('a WebSocket handshake with a body stays a plain request', async () => {
      const origin = await keep(ok())
      const { port } = await engineTo([origin.target])
      const bytes = `${head(['Connection: Upgrade', 'Upgrade: websocket', `Content-Length: ${inner.length}`], 'GET / HTTP/1.1')}${inner}`
      await rawRequest(port, bytes, (text) => text.endsWith('ok'))
      expect(origin.text()).toMatch(new RegExp(`content-length: ${inner.length}\r\n`, 'i'))
      expect(origin.text()).not.toMatch(/upgrade/i)
    })

    test('pipelined requests are answered in order, each by its own answer', async () => {
      const origin = await keep(scriptedOrigin((text) => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${/GET \/(..)/.exec(text)?.[1]}`))
      const { port } = await engineTo([origin.target])
      const bytes = ['aa', 'bb', 'cc']
        .map((name) => `GET /${name} HTTP/1.1\r\nHost: app.test\r\n${name === 'cc' ? 'Connection: close\r\n' : ''}\r\n`)
        .join('')
      const text = await rawRequest(port, bytes)
      expect([...text.matchAll(/\r\n\r\n(..)/g)].map((match) => match[1])).toEqual(['aa', 'bb', 'cc'])
    })

    test('OPTIONS * is answered by the router itself', async () => {
      const origin = await keep(ok())
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, head(['Connection: close'], 'OPTIONS * HTTP/1.1'))
      expect(text).toMatch(/^HTTP\/1.1 204 [\s\S]*\r\nAllow: GET, HEAD/)
      expect(origin.connections).toHaveLength(0)
    })
  })
}
