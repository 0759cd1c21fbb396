import { expect, test, vi } from 'vitest'
import { engineContract } from '../contract/suite'
import { hostTable, openServices, quietLog, rawOrigin, request, routeTo, testLimits } from '../contract/testing'
import { createHttpProxyEngine } from './engine'

engineContract('http-proxy', createHttpProxyEngine)

test('what follows a path is kept out of the router’s log: it may open what is protected', async () => {
  const origin = await rawOrigin(({ socket }) => socket.destroy())
  const table = hostTable([routeTo('app.test', [origin.target])])
  const warn = vi.fn()
  const engine = createHttpProxyEngine({ limits: testLimits, table, log: { ...quietLog, warn }, ...openServices(table) })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
  const { status } = await request({ port, path: '/a?switchyard_token=secret', method: 'POST' })
  await engine.close()
  await origin.close()
  expect(status).toBe(502)
  expect(warn.mock.calls[0]?.[0]).toMatchObject({ path: '/a' })
  expect(JSON.stringify(warn.mock.calls)).not.toContain('secret')
})
