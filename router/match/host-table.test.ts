import { describe, expect, test } from 'vitest'
import { routeTo, tableOf } from '../proxy/testing'
import { canonicalHost, parseAuthority } from './host'
import { HostTable } from './host-table'

const find = (table: HostTable, header: string) => {
  const authority = parseAuthority(header)
  return authority === null ? undefined : table.find(authority.host)?.projectName
}

describe.each([1, 100, 101, 10_000])('with %d hosts', (size) => {
  const hosts = Array.from({ length: size }, (_, i) => `app-${i}.example.test`)
  const table = new HostTable(tableOf(hosts.map((host, i) => routeTo(host, [], { projectName: `p${i}` }))))

  test('every host is found in any case, with a dot, with a port', () => {
    for (const [i, host] of hosts.entries())
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
