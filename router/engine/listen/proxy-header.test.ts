import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { RawClient, until } from '../contract/testing'
import { type ProxySource, parseProxyHeader, readProxyHeader } from './proxy-header'

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** A header of version 2. */
function v2(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt8(command, 0)
  head.writeUInt8(family, 1)
  head.writeUInt16BE(length, 2)
  return Buffer.concat([signature, head, body])
}
const ports = Buffer.from('a02801bb', 'hex') // 41000 → 443
const ipv4 = Buffer.concat([Buffer.from([203, 0, 113, 9, 198, 51, 100, 1]), ports])
const ipv6 = Buffer.concat([Buffer.from('20010db8000000000000000000000009', 'hex'), Buffer.from('20010db8000000000000000000000001', 'hex'), ports])
const tlv = Buffer.from('0100026832', 'hex') // ALPN "h2"
const visitor = { ip: '203.0.113.9', port: 41000, destinationPort: 443 }
const visitor6 = { ip: '2001:db8::9', port: 41000, destinationPort: 443 }

const whole: [string, Buffer, ProxySource | null][] = [
  ['TCP4', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 41000 443\r\n'), visitor],
  ['TCP6', Buffer.from('PROXY TCP6 2001:db8::9 2001:db8::1 41000 443\r\n'), visitor6],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with words', Buffer.from('PROXY UNKNOWN ffff:f...f:ffff 1 2 3 4 5\r\n'), null],
  ['v2 TCP over IPv4', v2(0x21, 0x11, ipv4), visitor],
  ['v2 TCP over IPv6', v2(0x21, 0x21, ipv6), visitor6],
  ['v2 with TLVs', v2(0x21, 0x11, Buffer.concat([ipv4, tlv, tlv])), visitor],
  ['v2 LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), null],
  ['v2 LOCAL with addresses', v2(0x20, 0x11, ipv4), null],
  ['v2 UNSPEC', v2(0x21, 0x00, Buffer.alloc(5)), null],
  ['v2 UNIX', v2(0x21, 0x31, Buffer.alloc(216)), null],
]

describe('a header', () => {
  test.each(whole)('%s is read, cut at every byte and followed by anything', (_name, header, source) => {
    for (let cut = 0; cut < header.length; cut++) expect(parseProxyHeader(header.subarray(0, cut))).toEqual({ state: 'incomplete' })
    for (const rest of ['', 'G', 'GET / HTTP/1.1\r\n\r\n', header.toString('latin1')])
      expect(parseProxyHeader(Buffer.concat([header, Buffer.from(rest, 'latin1')]))).toEqual({ state: 'complete', length: header.length, source })
  })

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\n'],
    ['TLS', '\x16\x03\x01'],
    ['lower case', 'proxy TCP4 203.0.113.9 198.51.100.1 41000 443\r\n'],
    ['two spaces', 'PROXY  TCP4 203.0.113.9 198.51.100.1 41000 443\r\n'],
    ['a tab', 'PROXY\tTCP4 203.0.113.9 198.51.100.1 41000 443\r\n'],
    ['no family', 'PROXY \r\n'],
    ['another family', 'PROXY UDP4 203.0.113.9 198.51.100.1 41000 443\r\n'],
    ['too few words', 'PROXY TCP4 203.0.113.9 198.51.100.1 41000\r\n'],
    ['too many words', 'PROXY TCP4 203.0.113.9 198.51.100.1 41000 443 1\r\n'],
    ['a trailing space', 'PROXY TCP4 203.0.113.9 198.51.100.1 41000 443 \r\n'],
    ['IPv6 as TCP4', 'PROXY TCP4 ::1 ::1 1 2\r\n'],
    ['IPv4 as TCP6', 'PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n'],
    ['a short address', 'PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n'],
    ['an octet beyond 255', 'PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n'],
    ['a leading zero', 'PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n'],
    ['a zone', 'PROXY TCP6 fe80::1%lo ::1 1 2\r\n'],
    ['a port beyond 65535', 'PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n'],
    ['a port with a zero', 'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n'],
    ['a port with a sign', 'PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n'],
    ['an endless line', `PROXY UNKNOWN ${'x'.repeat(200)}`],
    ['a line of 108 bytes', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`],
  ])('of version 1 with %s is refused', (_name, text) => {
    expect(parseProxyHeader(Buffer.from(text, 'latin1')).state).toBe('invalid')
  })

  test.each([
    ['another signature', Buffer.from('\r\n\r\n\0\r\nQUIX\n', 'latin1')],
    ['version 1 in binary', v2(0x11, 0x11, ipv4)],
    ['an unknown command', v2(0x22, 0x11, ipv4)],
    ['an unknown family', v2(0x21, 0x41, ipv4)],
    ['an unknown transport', v2(0x21, 0x13, ipv4)],
    ['datagrams', v2(0x21, 0x12, ipv4)],
    ['IPv4 cut short', v2(0x21, 0x11, ipv4.subarray(1))],
    ['IPv6 cut short', v2(0x21, 0x21, ipv4)],
    ['half a TLV', v2(0x21, 0x11, Buffer.concat([ipv4, tlv.subarray(0, 4)]))],
    ['a TLV beyond its end', v2(0x21, 0x11, Buffer.concat([ipv4, Buffer.from('01ffff00', 'hex')]))],
    ['a length beyond reason', v2(0x21, 0x11, ipv4, 65_535)],
  ])('of version 2 with %s is refused', (_name, bytes) => {
    expect(parseProxyHeader(bytes).state).toBe('invalid')
  })

  test('a line of exactly 107 bytes is the longest', () => {
    expect(parseProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`))).toMatchObject({ state: 'complete', length: 107 })
  })

  test('random bytes never throw', () => {
    let seed = 7
    const next = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return seed
    }
    for (let i = 0; i < 20_000; i++) {
      const base = whole[next() % whole.length]?.[1] ?? signature
      const bytes = Buffer.from(base.subarray(0, next() % (base.length + 1)))
      for (let flips = next() % 4; flips > 0 && bytes.length > 0; flips--) bytes[next() % bytes.length] = next() & 0xff
      expect(['incomplete', 'invalid', 'complete']).toContain(parseProxyHeader(bytes).state)
    }
  })
})

describe('a connection', () => {
  const open: { close(): unknown }[] = []
  afterEach(() => {
    for (const thing of open.splice(0)) thing.close()
  })

  const accept = async (deadlineMs = 5_000) => {
    const seen: { source: ProxySource | null; text: () => string }[] = []
    const server = net.createServer((socket) =>
      readProxyHeader(socket, deadlineMs, (source) => {
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
        })
        socket.on('error', () => {})
        seen.push({ source, text: () => text })
      }),
    )
    open.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { seen, port: (server.address() as net.AddressInfo).port }
  }

  test.each(whole.slice(0, 7))('%s: what follows the header is what remains to be read', async (_name, header, source) => {
    const { seen, port } = await accept()
    const client = await RawClient.connect(port)
    client.write(Buffer.concat([header, Buffer.from('after')]))
    await until('the rest is there', () => seen[0]?.text() === 'after')
    expect(seen[0]?.source).toEqual(source)
    client.write(' more')
    await until('more is there', () => seen[0]?.text() === 'after more')
    client.destroy()
  })

  test('nothing in time, garbage, and an end midway close it', async () => {
    const { seen, port } = await accept(200)
    const silent = await RawClient.connect(port)
    const garbage = await RawClient.connect(port)
    garbage.write('GET / HTTP/1.1\r\n\r\n')
    const half = await RawClient.connect(port)
    half.write('PROXY TCP4 ')
    half.socket.end()
    const trickle = await RawClient.connect(port)
    const timer = setInterval(() => trickle.write('x'), 20)
    trickle.write('PROXY UNKNOWN ')
    for (const client of [silent, garbage, half, trickle]) {
      await until('it is closed', () => client.closed || client.socket.readableEnded)
      client.destroy()
    }
    clearInterval(timer)
    expect(seen).toHaveLength(0)
  })
})
