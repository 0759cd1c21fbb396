import { describe, expect, test } from 'vitest'
import { Decoded, HpackDecoder, tableCapacity } from './decoder'
import { encodeField, encodeStatus } from './encoder'
import type { Field } from './field'
import { huffmanCodes, huffmanDecode, huffmanEncode, huffmanLengths, huffmanSize } from './huffman'

const bounds = { maxListBytes: 65_536, maxFields: 200 }
const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const pairs = (fields: Field[]) => fields.map(({ name, value }) => [name, value])

function decodeAll(decoder: HpackDecoder, block: Buffer): { result: number; fields: Field[] } {
  const fields: Field[] = []
  return { result: decoder.decode(block, 0, block.length, fields), fields }
}

function random(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('Huffman code of HPACK', () => {
  test('is complete: the lengths of all 257 codes fill the tree exactly', () => {
    expect(huffmanLengths.length).toBe(257)
    expect(huffmanLengths.reduce((sum, length) => sum + 2 ** -length, 0)).toBe(1)
    expect(huffmanCodes[256]).toBe(0x3fffffff)
    // RFC 7541 appendix B, from every part of the table.
    expect([0, 32, 48, 97, 128, 201, 255].map((symbol) => huffmanCodes[symbol])).toEqual([0x1ff8, 0x14, 0, 3, 0xfffe6, 0x3ffffe3, 0x3ffffee])
  })

  test('every byte, and random strings of bytes, survive a round trip', () => {
    const next = random(1)
    const strings = [Buffer.from(Array.from({ length: 256 }, (_, i) => i))]
    for (let i = 0; i < 256; i++) strings.push(Buffer.from([i]))
    for (let i = 0; i < 500; i++) strings.push(Buffer.from(Array.from({ length: next(64) }, () => next(256))))
    for (const bytes of strings) {
      const out: number[] = []
      huffmanEncode(bytes, out)
      expect(out.length).toBe(huffmanSize(bytes))
      expect(huffmanDecode(Buffer.from(out), 0, out.length)).toBe(bytes.toString('latin1'))
    }
  })

  test('refuses EOS, padding that is not ones, and padding of a whole octet', () => {
    const decode = (text: string) => huffmanDecode(hex(text), 0, hex(text).length)
    expect(decode('ffffffff')).toBeNull()
    expect(decode('1f')).toBe('a')
    expect(decode('18')).toBeNull()
    expect(decode('1fff')).toBeNull()
    expect(decode('ff')).toBeNull()
    expect(decode('')).toBe('')
  })
})

describe('HPACK decoder', () => {
  test('RFC 7541 C.3: requests without Huffman, the table growing', () => {
    const decoder = new HpackDecoder(bounds)
    expect(pairs(decodeAll(decoder, hex('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')).fields)).toEqual([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ])
    expect(pairs(decodeAll(decoder, hex('8286 84be 5808 6e6f 2d63 6163 6865')).fields).slice(3)).toEqual([
      [':authority', 'www.example.com'],
      ['cache-control', 'no-cache'],
    ])
    const third = hex('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65')
    expect(pairs(decodeAll(decoder, third).fields).slice(2)).toEqual([
      [':path', '/index.html'],
      [':authority', 'www.example.com'],
      ['custom-key', 'custom-value'],
    ])
  })

  test('RFC 7541 C.4: the same with Huffman', () => {
    const decoder = new HpackDecoder(bounds)
    decodeAll(decoder, hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))
    expect(pairs(decodeAll(decoder, hex('8286 84be 5886 a8eb 1064 9cbf')).fields)[4]).toEqual(['cache-control', 'no-cache'])
    expect(pairs(decodeAll(decoder, hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).fields)[4]).toEqual([
      'custom-key',
      'custom-value',
    ])
  })

  test('entries leave the table oldest first, and all of them when one is larger than the table', () => {
    const decoder = new HpackDecoder(bounds)
    const add = (name: string, value: string) => {
      const block = Buffer.concat([
        Buffer.from([0x40, name.length]),
        Buffer.from(name),
        Buffer.from(value.length < 127 ? [value.length] : [127, ((value.length - 127) & 0x7f) | 0x80, (value.length - 127) >> 7]),
        Buffer.from(value),
      ])
      expect(decodeAll(decoder, block).result).toBe(Decoded.ok)
    }
    for (let i = 0; i < 400; i++) add(`n${i}`, 'v'.repeat(100))
    // 32 + 4 + 100 bytes each: 30 fit.
    expect(pairs(decodeAll(decoder, Buffer.from([0x80 | 62])).fields)).toEqual([['n399', 'v'.repeat(100)]])
    expect(pairs(decodeAll(decoder, Buffer.from([0x80 | (62 + 29)])).fields)[0]?.[0]).toBe('n370')
    expect(decodeAll(decoder, Buffer.from([0x80 | (62 + 30)])).result).toBe(Decoded.corrupt)
    add('big', 'v'.repeat(tableCapacity))
    expect(decodeAll(decoder, Buffer.from([0x80 | 62])).result).toBe(Decoded.corrupt)
  })

  test('size updates: obeyed before the first field, refused after it or beyond what was allowed', () => {
    const decoder = new HpackDecoder(bounds)
    decodeAll(decoder, Buffer.from([0x40, 1, 97, 1, 98]))
    expect(decodeAll(decoder, Buffer.from([0x20, 0x3f, 0xe1, 0x1f, 0x82])).result).toBe(Decoded.ok)
    expect(decodeAll(decoder, Buffer.from([0x80 | 62])).result).toBe(Decoded.corrupt)
    expect(decodeAll(new HpackDecoder(bounds), Buffer.from([0x82, 0x20])).result).toBe(Decoded.corrupt)
    expect(decodeAll(new HpackDecoder(bounds), Buffer.from([0x3f, 0xe2, 0x1f])).result).toBe(Decoded.corrupt)
  })

  test.each([
    ['index 0', '80'],
    ['index beyond both tables', 'be'],
    ['integer without end', 'ffffffffffff7f'],
    ['integer cut off', 'ff80'],
    ['string longer than the block', '0003616200'],
    ['literal without value', '000161'],
    ['name index beyond the tables', '7f000161'],
  ])('refuses %s', (_what, block) => {
    expect(decodeAll(new HpackDecoder(bounds), hex(block)).result).toBe(Decoded.corrupt)
  })

  test('a list beyond its bounds is cut, and the table stays in step', () => {
    const decoder = new HpackDecoder({ maxListBytes: 200, maxFields: 3 })
    const block = Buffer.concat([Buffer.from([0x40, 1, 97, 1, 98]), Buffer.alloc(50_000, 0x80 | 62)])
    const { result, fields } = decodeAll(decoder, block)
    expect(result).toBe(Decoded.tooLarge)
    expect(fields.length).toBe(3)
    expect(decodeAll(decoder, Buffer.from([0x80 | 62])).result).toBe(Decoded.ok)
  })

  test('random bytes never throw', () => {
    const next = random(7)
    const decoder = new HpackDecoder(bounds)
    for (let i = 0; i < 20_000; i++) decodeAll(decoder, Buffer.from(Array.from({ length: next(40) }, () => next(256))))
  })
})

describe('HPACK encoder', () => {
  test('what it writes, the decoder reads', () => {
    const next = random(3)
    const names = ['content-type', 'set-cookie', 'x-a', 'etag', 'server', 'cache-control']
    for (let i = 0; i < 500; i++) {
      const name = names[next(names.length)] as string
      const value = `v${Buffer.from(Array.from({ length: next(300) }, () => 33 + next(94))).toString('latin1')}`
      const decoder = new HpackDecoder(bounds)
      expect(pairs(decodeAll(decoder, encodeField(name, value)).fields)).toEqual([[name, value]])
    }
    for (let status = 100; status < 1000; status++)
      expect(pairs(decodeAll(new HpackDecoder(bounds), encodeStatus(status)).fields)).toEqual([[':status', String(status)]])
  })
})
