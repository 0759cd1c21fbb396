import { describe, expect, test } from 'vitest'
import { canonicalHost, parseAuthority } from '@/shared/node/host'
import { routeTo, tableOf } from '../engine/contract/testing'
import { HostTable } from './host-table'

const find = (table: HostTable, header: string) => {
  const authority = parseAuthority(header)
  return authority === null ? undefined : table.find(authority.host)?.projectName
}

describe.each([1, 100, 101, 10_000, 100_000])('with %d hosts', (size) => {
  const hosts = Array.from({ length: size }, (_, i) => `app-${i}.example.test`)
  const table = new HostTable(tableOf(hosts.map((host, i) => routeTo(host, [], { projectName: `p${i}` }))))

  test('every host is found in any case, with a dot, with a port', () => {
    const step = Math.ceil(size / 2000)
    for (const [i, host] of hosts.entries())
      if (i % step === 0)
        for (const header of [host, host.toUpperCase(), `${host}.`, `${host}:8080`, `${host.replace('app', 'aPp')}.:443`])
          expect(find(table, header)).toBe(`p${i}`)
  })

  test('nothing is found by a part, a prefix or a suffix', () => {
    for (const header of [
      'example.test',
      'test',
      'pp-0.example.test',
      'xapp-0.example.test',
      'app-0.example.test.evil',
      'app-0.example.tes',
      'a.app-0.example.test',
      '*',
    ])
      expect(find(table, header)).toBeUndefined()
  })
})

test.each([
  ['münchen.test', 'xn--mnchen-3ya.test'],
  ['MÜNCHEN.test', 'xn--mnchen-3ya.test'],
  ['faß.de', 'xn--fa-hia.de'],
  ['App.TEST.', 'app.test'],
  ['a_b.test', 'a_b.test'],
  ['127.0.0.1', '127.0.0.1'],
  ['[::1]', '[::1]'],
])('%s is spelled %s', (written, canonical) => {
  expect(canonicalHost(written)).toBe(canonical)
})

test('a Unicode name in a table is found by its bytes and by its punycode', () => {
  const table = new HostTable(tableOf([routeTo('bücher.test', [], { projectName: 'books' })]))
  expect(find(table, Buffer.from('BÜCHER.test').toString('latin1'))).toBe('books')
  expect(find(table, 'XN--BCHER-KVA.test:80')).toBe('books')
})

test.each([
  '',
  ' ',
  '.',
  '..',
  'a..b',
  'a b',
  'a/b',
  'a@b',
  'a,b',
  'a:',
  'a:b:1',
  'a:99999',
  'a:-1',
  '[::1',
  '[::1]x',
  '[::g]',
  ':80',
  'a%2eb',
  '-',
  'a\0b',
  'x'.repeat(600),
])('"%s" is no host', (header) => {
  const authority = parseAuthority(header)
  // A colon with nothing after it is an empty port, which RFC 3986 allows.
  if (header === 'a:') expect(authority).toEqual({ host: 'a', port: '' })
  else expect(authority).toBeNull()
})

test('a table that names a host twice is refused', () => {
  expect(() => new HostTable(tableOf([routeTo('a.test', []), routeTo('A.test.', [])]))).toThrow('two routes')
})

describe.each([1, 100, 101, 10_000, 100_000])('with %d wildcards', (size) => {
  const table = new HostTable(
    tableOf([
      ...Array.from({ length: size }, (_, i) => routeTo(`*.w${i}.example.test`, [], { projectName: `w${i}` })),
      routeTo('own.w0.example.test', [], { projectName: 'own' }),
    ]),
  )

  test('one label more is found, no label more or two more are not, and an exact host goes first', () => {
    for (const i of new Set([0, size >> 1, size - 1])) {
      expect(find(table, `a.w${i}.example.test`)).toBe(`w${i}`)
      expect(find(table, `A-B.W${i}.Example.TEST.:8080`)).toBe(`w${i}`)
      expect(find(table, `xn--bcher-kva.w${i}.example.test`)).toBe(`w${i}`)
      expect(find(table, `w${i}.example.test`)).toBeUndefined()
      expect(find(table, `a.b.w${i}.example.test`)).toBeUndefined()
      expect(find(table, `xw${i}.example.test`)).toBeUndefined()
    }
    expect(find(table, 'own.w0.example.test')).toBe('own')
    expect(find(table, 'own.w0.example.test.')).toBe('own')
    expect(find(table, '*.w0.example.test')).toBeUndefined()
  })
})

test('a look-up costs the same among a million routes as among a hundred', () => {
  const make = (size: number) =>
    new HostTable(
      tableOf(
        Array.from({ length: size }, (_, i) => routeTo(i % 2 ? `app-${i}.example.test` : `*.app-${i}.example.test`, [], { projectName: `p${i}` })),
      ),
    )
  const time = (table: HostTable, size: number) => {
    const hosts = Array.from({ length: 1000 }, (_, i) => {
      const n = Math.floor((i * size) / 1000)
      return n % 2 ? `app-${n}.example.test` : `x.app-${n}.example.test`
    })
    let best = Infinity
    for (let round = 0; round < 20; round += 1) {
      const begun = performance.now()
      for (const host of hosts) if (table.find(host) === undefined) throw new Error(`${host} was not found`)
      best = Math.min(best, performance.now() - begun)
    }
    return best
  }
  const small = time(make(100), 100)
  const large = time(make(1_000_000), 1_000_000)
  // A million keys do not fit the caches of a processor: some ten times is memory, ten thousand times would be a walk.
  expect(large).toBeLessThan(Math.max(small * 50, 5))
}, 60_000)
