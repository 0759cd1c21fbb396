import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../engine/contract/testing'
import { InstancePages } from './error-pages'
import { liveRoute } from './testing'

test('pages of apps take no more memory together than there is for them; those fetched longest ago go first', async () => {
  const server = createServer((_req, res) => res.end('x'.repeat(400)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const pages = new InstancePages(1_000)
  onTestFinished(() => {
    pages.close()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const route = liveRoute({ targets: [{ instanceId: 'i', host: '127.0.0.1', port }] })
  const fetched = async (path: string, now: number) => {
    pages.refresh(route, path, now)
    await until(`${path} is there`, () => pages.get(route, path) !== null)
  }
  for (const path of ['/404', '/500']) await fetched(path, 0)
  pages.refresh(route, '/404', 60_001)
  await fetched('/502', 60_001)
  await until('the oldest is gone', () => pages.get(route, '/500') === null)
  expect(pages.get(route, '/404')).not.toBeNull()
})
