import http from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { liveRoute } from '../gate/testing'
import { createOrigin } from './origin'

let server: http.Server
beforeEach(async () => {
  const fields = { 'X-Request-Id': 'its-own', 'X-Switchyard-Instance': 'forged', 'X-Of-The-App': '1' }
  server = http.createServer((_request, response) => response.writeHead(200, fields).end('new'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => server.closeAllConnections())

test('what only the router says is not taken from the instance: a refreshed answer is kept without it', async () => {
  const target = { instanceId: 'i', host: '127.0.0.1', port: (server.address() as { port: number }).port }
  const origin = createOrigin({ targets: { acquire: () => ({ target, setCookie: null, done: () => {} }) }, maxBytes: 1_000 })
  const answer = await origin.ask({ route: liveRoute(), target: '/', host: 'a.test', scheme: 'http', headers: [] })
  const names = answer?.headers.map(([name]) => name.toLowerCase()) ?? []
  expect(names).toContain('x-of-the-app')
  expect(names.filter((name) => name === 'x-request-id' || name.startsWith('x-switchyard-'))).toEqual([])
  origin.close()
  server.close()
})
