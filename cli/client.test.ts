import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { Client } from './client'
import { getDeployment } from './commands/cancel'

vi.mock('node:timers/promises', () => ({ setTimeout: async () => {} }))

let server: http.Server
afterEach(() => void server.close())

/** A server that is away for the first `times` requests, as `away` says, and answers from then on. */
async function restarting(times: number, away: (req: http.IncomingMessage, res: http.ServerResponse) => void): Promise<Client> {
  let asked = 0
  server = http.createServer((req, res) => {
    if (asked++ < times) away(req, res)
    else res.end(JSON.stringify({ id: 'd1', status: 'ACTIVE' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return new Client({ api: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'key' })
}

test('a deployment that is waited for is asked for again while the server is away, far beyond five attempts', async () => {
  const client = await restarting(30, (req) => req.socket.destroy())
  expect(await getDeployment(client, 'd1')).toMatchObject({ status: 'ACTIVE' })
})

test('a proxy that says the server is not there yet is no answer about a deployment', async () => {
  const client = await restarting(30, (_req, res) => void res.writeHead(503).end('starting'))
  expect(await getDeployment(client, 'd1')).toMatchObject({ status: 'ACTIVE' })
})

test('other calls say at once what the server answers', async () => {
  const client = await restarting(1, (_req, res) => void res.writeHead(503).end('starting'))
  await expect(client.call('/projects')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
})

test('a call that makes something is sent again after a lost connection, with the same Idempotency-Key each time', async () => {
  const keys = new Set<unknown>()
  const running = { error: { code: 'ERR_IDEMPOTENCY_KEY_RUNNING', message: 'still running' } }
  let first = true
  const client = await restarting(3, (req, res) => {
    keys.add(req.headers['idempotency-key'])
    if (!first) return void res.writeHead(409).end(JSON.stringify(running))
    first = false
    req.socket.destroy()
  })
  expect(await client.call('/deployments', { method: 'POST', body: {} })).toMatchObject({ status: 'ACTIVE' })
  expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
})
