import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { newKeyPem } from './accounts'
import { type AcmeTransport, createAcmeTransport } from './acme'
import { AcmeProblem, faultOf } from './problems'

/** A CA that answers what the test wants, whether that makes sense or not. */
const opened: { server: Server; transport: AcmeTransport }[] = []
async function authority(listener: RequestListener, timeoutMs = 2_000) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const transport = await createAcmeTransport({ caFile: null, timeoutMs })
  opened.push({ server, transport })
  return { transport, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
afterEach(() => {
  for (const { server, transport } of opened.splice(0)) {
    transport.close()
    server.closeAllConnections()
    server.close()
  }
})
const signal = () => AbortSignal.timeout(20_000)
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error) => error,
  )
const json = (body: unknown, status = 200, headers = {}): [number, Record<string, string>, string] => [
  status,
  { 'content-type': 'application/json', 'replay-nonce': 'n', ...headers },
  JSON.stringify(body),
]

describe('a CA that answers garbage', () => {
  test('in place of its directory is asked for it again at the next call, not a day later', async () => {
    let broken = true
    const { transport, url } = await authority((request, response) => {
      const at = `http://${request.headers.host}`
      const [status, headers, body] =
        request.url === '/dir' && broken
          ? json('We are moving house.')
          : request.url === '/dir'
            ? json({ newNonce: `${at}/nonce`, newAccount: `${at}/account`, newOrder: `${at}/order` })
            : json({ status: 'valid' }, 201, { location: `${at}/account/1` })
      response.writeHead(status, headers).end(body)
    })
    const client = transport.client({ directory: `${url}/dir`, binding: null }, { keyPem: newKeyPem(), url: null })
    const register = () => client.run(signal(), (api) => api.createAccount({ termsOfServiceAgreed: true }))
    const failure = await failureOf(register())
    expect(failure?.message).toContain('is not an ACME directory')
    expect(faultOf(failure)).toBe('network')
    broken = false
    await expect(register()).resolves.toBeTruthy()
  })

  test('in a problem document makes a message that can be kept and shown', async () => {
    const detail = `\u0000"\u001b[31m\ud800${'x'.repeat(100_000)}`
    const { transport, url } = await authority((_request, response) => {
      const [status, headers, body] = json({ type: 7, detail }, 403)
      response.writeHead(status, headers).end(body)
    })
    const failure = await failureOf(transport.get(url, signal()))
    expect(failure).toBeInstanceOf(AcmeProblem)
    expect(failure?.message.length).toBeLessThanOrEqual(1_000)
    expect(failure?.message).not.toMatch(/\p{Cc}/u)
    expect(failure?.message.isWellFormed()).toBe(true)
  })

  test('in Retry-After is believed for some days at most', async () => {
    const values = ['99999999999999999999', '9'.repeat(400), 'Fri, 31 Dec 9999 23:59:59 GMT', '3600', 'soon', '-5']
    const { transport, url } = await authority((_request, response) => {
      const [status, headers, body] = json({}, 429, { 'retry-after': values[0] })
      response.writeHead(status, headers).end(body)
    })
    const week = 7 * 24 * 3_600_000
    const seen: (number | null)[] = []
    for (; values.length > 0; values.shift()) seen.push(((await failureOf(transport.get(url, signal()))) as AcmeProblem).retryAfterMs)
    for (const pause of seen.slice(0, 3)) expect(pause).toSatisfy((ms: number) => ms >= week && ms <= 2 * week)
    expect(seen.slice(3)).toEqual([3_600_000, null, null])
  })
})

test('a CA that sends a byte now and then has the deadline of one that is silent', async () => {
  const { transport, url } = await authority((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 50)
    response.on('close', () => clearInterval(timer))
  }, 400)
  const began = Date.now()
  expect(faultOf(await failureOf(transport.get(url, signal())))).toBe('network')
  expect(Date.now() - began).toBeLessThan(3_000)
})
