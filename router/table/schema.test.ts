import { expect, test } from 'vitest'
import { emptyRouteTable } from '@/shared/route-table'
import { checkTable } from './schema'

test('a wildcard certificate that serves thousands of domains is no reason to refuse a table', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `shop-${i}.example.test`)
  const { table } = checkTable({ ...emptyRouteTable, version: 1, certificates: [{ id: 'c.01', names, notAfter: 1 }] })
  expect(table.certificates?.[0]?.names).toHaveLength(20_000)
})
