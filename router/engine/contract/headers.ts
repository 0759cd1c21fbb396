import { describe, expect, test } from 'vitest'
import type { EngineFactory } from '../engine'
import { untrustedNames } from '../headers/untrusted-names'
import { useEngine } from './harness'
import { rawRequest, request, scriptedOrigin } from './testing'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export function headerContract(createEngine: EngineFactory): void {
  describe('headers', () => {
    const { keep, engineTo } = useEngine(createEngine)
    /** The header lines that an instance receives when a client sends `lines`. */
    const received = async (...lines: string[]) => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      const answer = await rawRequest(port, ['GET / HTTP/1.1', ...lines, '', ''].join('\r\n'), (text) => text.endsWith('ok'))
      return { port, answer, head: origin.text().split('\r\n').slice(1) }
    }
    const valuesOf = (head: string[], name: string) =>
      head.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`)).map((line) => line.slice(line.indexOf(':') + 2))

    test('Host arrives as the client wrote it', async () => {
      const { head } = await received('Host: App.TEST.:8080')
      expect(valuesOf(head, 'Host')).toEqual(['App.TEST.:8080'])
      expect(valuesOf(head, 'X-Forwarded-Host')).toEqual(['App.TEST.:8080'])
      expect(valuesOf(head, 'X-Forwarded-Port')).toEqual(['8080'])
    })

    test('what is said about the client is said by the router alone', async () => {
      const { head, port } = await received(
        'Host: app.test',
        'X-Forwarded-For: 6.6.6.6',
        'x-forwarded-proto: https',
        'X-Forwarded-Host: evil',
        'X-Forwarded-Port: 1',
        'X-Forwarded-Server: evil',
        'X_Forwarded_For: 6.6.6.6',
        'X-Real-IP: 6.6.6.6',
        'X_Real_IP: 6.6.6.6',
        'Forwarded: for=6.6.6.6',
        'X-Request-Id: mine',
        'X-Switchyard-Team: root',
        'X_Switchyard_Team: root',
        'X-Middleware-Subrequest: middleware:middleware',
      )
      expect(valuesOf(head, 'X-Forwarded-For')).toEqual(['127.0.0.1'])
      expect(valuesOf(head, 'X-Forwarded-Proto')).toEqual(['http'])
      expect(valuesOf(head, 'X-Forwarded-Host')).toEqual(['app.test'])
      expect(valuesOf(head, 'X-Forwarded-Port')).toEqual([String(port)])
      expect(valuesOf(head, 'X-Real-IP')).toEqual(['127.0.0.1'])
      expect(head.join('\n')).not.toMatch(/6\.6\.6\.6|evil|mine|switchyard|subrequest|^forwarded|_/im)
    })

    test.each([
      ['with dashes', (name: string) => name],
      ['with underscores', (name: string) => name.replaceAll('-', '_')],
      ['mixed', (name: string) => name.replace('-', '_').toUpperCase()],
    ])('no name that only a proxy says of a client reaches an instance as the client said it: %s', async (_how, spelled) => {
      const { head } = await received('Host: app.test', ...untrustedNames.map((name) => `${spelled(name)}: said-by-a-client`))
      expect(head.filter((line) => line.includes('said-by-a-client'))).toEqual([])
    })

    test("nothing a client says becomes the app's own proxy, the length of its body, or what its framework renders", async () => {
      const { head } = await received(
        'Host: app.test',
        'Proxy: http://6.6.6.6',
        'PROXY: 6.6.6.6',
        'Content_Length: 666',
        'Transfer_Encoding: chunked',
        'X-Request_Id: 666',
        'X-Invoke-Status: 666',
        'X-Now-Route-Matches: 666',
        'x_now_route_matches: 666',
        'X-Matched-Path: /666',
        'X_Harmless: yes',
        'Content_Type_Of_Mine: yes',
      )
      expect(head.join('\n')).not.toMatch(/^(?:proxy|content_length|transfer_encoding|x-request_id|x.invoke|x.now|x-matched)/im)
      expect(valuesOf(head, 'X_Harmless')).toEqual(['yes'])
      expect(valuesOf(head, 'Content_Type_Of_Mine')).toEqual(['yes'])
    })

    test('trailers say nothing either that only the router may say', async () => {
      const origin = await keep(scriptedOrigin((head) => (head.includes('POST') ? ok : null)))
      const { port } = await engineTo([origin.target])
      const trailers = ['Proxy: evil', 'X-Forwarded-For: evil', 'x_forwarded_for: evil', 'X_Real_IP: evil', 'Forwarded: evil', 'X-Invoke-Path: evil']
      const text = `POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`
      expect(await rawRequest(port, text, (answer) => answer.endsWith('ok'))).toMatch(/^HTTP\/1.1 200 /)
      expect(origin.text()).not.toContain('evil')
    })

    test('what describes or authenticates an answer does not come behind it', async () => {
      const trailers = ['X-Sum: 6', 'Set-Cookie: a=b', 'Content-Type: x/y', 'Cache-Control: public', 'Content-Encoding: gzip', 'Expect: 100-continue']
      const origin = await keep(
        scriptedOrigin(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`),
      )
      const { port } = await engineTo([origin.target])
      const answer = await request({ port })
      expect(answer.body.toString()).toBe('abc')
      expect(answer.trailers).toEqual({ 'x-sum': '6' })
    })

    test('the request id is new for each request and the same on both sides', async () => {
      const { head, answer } = await received('Host: app.test')
      const [id] = valuesOf(head, 'X-Request-Id')
      expect(id).toMatch(/^[0-9a-f-]{36}$/)
      expect(answer).toContain(`X-Request-Id: ${id}\r\n`)
      expect(valuesOf((await received('Host: app.test')).head, 'X-Request-Id')).not.toEqual([id])
    })

    test('hop-by-hop headers and those named by Connection stay here', async () => {
      const { head } = await received(
        'Host: app.test',
        'Connection: keep-alive, X-Secret , x-other',
        'Connection: Foo',
        'X-Secret: 1',
        'X-Other: 1',
        'Foo: 1',
        'Keep-Alive: timeout=99',
        'Proxy-Connection: keep-alive',
        'Proxy-Authorization: Basic eDp5',
        'TE: trailers',
        'Trailer: X-T',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABk',
        'X-Kept: yes',
      )
      expect(head.join('\n')).not.toMatch(/secret|other|^foo|timeout=99|proxy-|^te:|trailer|upgrade|settings/im)
      expect(valuesOf(head, 'X-Kept')).toEqual(['yes'])
    })

    test.each(['Host', 'content-length', 'close, Content-Length'])('a Connection that names %s is refused', async (names) => {
      const origin = await keep(scriptedOrigin(ok))
      const { port } = await engineTo([origin.target])
      expect(await rawRequest(port, `POST / HTTP/1.1\r\nHost: app.test\r\nConnection: ${names}\r\nContent-Length: 2\r\n\r\nhi`)).toMatch(
        /^HTTP\/1.1 400 /,
      )
      expect(origin.connections).toHaveLength(0)
    })

    test('repeated request headers stay apart and bytes beyond ASCII arrive as sent', async () => {
      const { head } = await received('Host: app.test', 'X-A: 1', 'x-a: 2', 'Cookie: a=1', 'X-Latin: caf\xe9', 'X-Utf8: \xc3\xa9', 'X-Empty:')
      expect(valuesOf(head, 'X-A')).toEqual(['1', '2'])
      expect(valuesOf(head, 'X-Latin')).toEqual(['caf\xe9'])
      expect(valuesOf(head, 'X-Utf8')).toEqual(['\xc3\xa9'])
      expect(head.some((line) => /^X-Empty: ?$/.test(line))).toBe(true)
    })

    test('hop-by-hop headers of the answer stay here too', async () => {
      const origin = await keep(
        scriptedOrigin(
          'HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\nX-Request-Id: theirs\r\nX-Switchyard-A: 1\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
      const { port } = await engineTo([origin.target])
      const text = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
      expect(text).not.toMatch(/inner|theirs|timeout=9|switchyard/i)
      expect(text).toMatch(/X-Kept: 1/)
    })
  })
}
