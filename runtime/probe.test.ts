import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { defaultHealthCheck, type HealthCheck } from '@/shared/release'
import { probe } from './probe'

const servers: http.Server[] = []
async function serve(handler: http.RequestListener) {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
const check = (part: Partial<HealthCheck> = {}): HealthCheck => ({
  ...defaultHealthCheck,
  intervalMs: 5,
  startPeriodMs: 200,
  timeoutMs: 5_000,
  ...part,
})
const alive = { stillRunning: async () => true }

describe('probe', () => {
  it('is healthy only after the required answers in a row', async () => {
    const codes = [500, 200, 503, 200, 200, 200]
    const address = await serve((_, res) => res.writeHead(codes.shift() ?? 200).end('ok'))
    const result = await probe(address, check({ successes: 3, startPeriodMs: 60_000 }), alive)
    expect(result).toMatchObject({ healthy: true, attempts: 6, statusCode: 200, reason: null })
  })

  it('takes a 404 for life, unless the person named the path', async () => {
    const address = await serve((_, res) => res.writeHead(404).end())
    expect(await probe(address, check(), alive)).toMatchObject({ healthy: true, statusCode: 404 })
    const strict = await probe(address, check({ strict: true, path: '/healthz' }), alive)
    expect(strict).toMatchObject({ healthy: false, statusCode: 404 })
    expect(strict.reason).toMatch(/asked GET \/healthz \d+ times for .* s: answered 404; 2xx or 3xx was expected/)
  })

  it('does not follow redirects and asks under a name that frameworks allow', async () => {
    const hosts: (string | undefined)[] = []
    const address = await serve((req, res) => {
      hosts.push(req.headers.host)
      res.writeHead(302, { location: 'http://169.254.169.254/' }).end()
    })
    expect(await probe(address, check({ strict: true, successes: 1 }), alive)).toMatchObject({ healthy: true, statusCode: 302, attempts: 1 })
    expect(hosts).toEqual(['localhost'])
  })

  it('says where the app listens instead, when the kernel knows, and tells it before its time is over', async () => {
    const address = await serve(() => {})
    await new Promise((resolve) => servers.pop()?.close(resolve))
    const notices: string[] = []
    const found = { ...alive, listeners: async () => [{ address: '::', port: 3999 }], onNotice: (text: string) => void notices.push(text) }
    const elsewhere = await probe(address, check(), found)
    expect(elsewhere.reason).toMatch(/^The app has been running for 0\.\d s and listens on 3999, not on \$PORT \(\d+\)\.$/)
    expect(notices).toEqual([`The app listens on 3999, not on $PORT (${address.port}).`])
    const nowhere = await probe(address, check(), { ...alive, listeners: async () => [] })
    expect(nowhere.reason).toMatch(/has been running for 0\.\d s and listens on no port\. If it is still starting, allow it more time/)
  })

  it('says that the connection was refused and what to look at', async () => {
    const address = await serve(() => {})
    await new Promise((resolve) => servers.pop()?.close(resolve))
    const result = await probe(address, check(), alive)
    expect(result).toMatchObject({ healthy: false, statusCode: null, latencyMs: null })
    expect(result.reason).toMatch(/^asked GET \/ \d+ times for 0\.\d s: connection refused\. Does the app listen on the port in \$PORT/)
  })

  it('counts an answer above the latency threshold as unhealthy', async () => {
    const address = await serve((_, res) => setTimeout(() => res.end('late'), 30))
    const result = await probe(address, check({ latencyThresholdMs: 10 }), alive)
    expect(result.healthy).toBe(false)
    expect(result.reason).toMatch(/took \d+ ms, threshold 10 ms/)
  })

  it('does not wait for an app that never answers', async () => {
    const address = await serve(() => {})
    const result = await probe(address, check({ timeoutMs: 30, startPeriodMs: 60 }), alive)
    expect(result.reason).toMatch(/no answer within 30 ms/)
  })

  it('accepts a health page that streams without end', async () => {
    const address = await serve((_, res) => {
      const timer = setInterval(() => res.write('x'.repeat(40_000)), 1)
      res.on('close', () => clearInterval(timer))
    })
    expect((await probe(address, check({ timeoutMs: 5_000 }), alive)).healthy).toBe(true)
  })

  it('ends at once when the app is gone, and names its exit', async () => {
    const address = await serve(() => {})
    await new Promise((resolve) => servers.pop()?.close(resolve))
    const gone = (exit: { code: number | null; signal: string | null; outOfMemory: boolean }) =>
      probe(address, check({ startPeriodMs: 60_000 }), { stillRunning: async () => false, exit: async () => exit })
    expect(await gone({ code: 1, signal: null, outOfMemory: false })).toMatchObject({ healthy: false, attempts: 1 })
    expect((await gone({ code: 1, signal: null, outOfMemory: false })).reason).toMatch(/^The app exited with code 1 (at once|after 0\.\d s)\./)
    expect((await gone({ code: 137, signal: 'SIGKILL', outOfMemory: true })).reason).toMatch(/ran out of memory/)
    expect((await gone({ code: null, signal: 'SIGTERM', outOfMemory: false })).reason).toMatch(/killed by SIGTERM/)
  })

  it('is over the moment the app ends, whatever it waits for: an answer, the next question, or an engine that is slow', async () => {
    const silent = await serve(() => {})
    const failing = await serve((_, res) => res.writeHead(500).end())
    const forever = () => new Promise<boolean>(() => {})
    for (const [address, stillRunning] of [
      [silent, async () => true],
      [failing, async () => true],
      [failing, forever],
    ] as const) {
      const ending = new AbortController()
      const untilExit = () => new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()))
      const exit = async () => ({ code: 3, signal: null, outOfMemory: false })
      const patient = check({ timeoutMs: 3_600_000, intervalMs: 3_600_000, startPeriodMs: 3_600_000, errorsPeriodMs: 3_600_000 })
      const result = probe(address, patient, { stillRunning, untilExit, exit })
      setTimeout(() => ending.abort(), 30)
      expect((await result).reason).toMatch(/^The app exited with code 3 (at once|after \d+\.\d s)\./)
    }
  })

  it('ends the wait for the exit with the probe, and does without it where the engine cannot wait', async () => {
    const address = await serve((_, res) => res.end('ok'))
    let ended = false
    const untilExit = (signal: AbortSignal) =>
      new Promise<void>((_, reject) =>
        signal.addEventListener('abort', () => {
          ended = true
          reject(signal.reason)
        }),
      )
    expect((await probe(address, check(), { ...alive, untilExit })).healthy).toBe(true)
    expect(ended).toBe(true)
    expect((await probe(address, check(), { ...alive, untilExit: () => Promise.reject(new Error('no such API')) })).healthy).toBe(true)
  })

  it('fails early when all answers are error statuses, and says which and for how long', async () => {
    const codes = [500]
    const address = await serve((_, res) => res.writeHead(codes.shift() ?? 503).end())
    const result = await probe(address, check({ startPeriodMs: 3_600_000, errorsPeriodMs: 60 }), alive)
    expect(result).toMatchObject({ healthy: false, statusCode: 503 })
    expect(result.attempts).toBeGreaterThanOrEqual(10)
    expect(result.reason).toMatch(/^asked GET \/: answered 500 or 503 to all of the last \d+ for 0\.\d s\. The app itself reports this error/)
    const named = await probe(address, check({ path: '/ready', strict: true, startPeriodMs: 3_600_000, errorsPeriodMs: 60 }), alive)
    expect(named.reason).toMatch(/^asked GET \/ready: answered 503 to all of the last \d+ for 0\.\d s; 2xx or 3xx was expected/)
  })

  it('does not take errors between other answers for a steady one', async () => {
    let asked = 0
    const address = await serve((request, res) => {
      asked++
      if (asked % 9 === 0) request.socket.destroy()
      else res.writeHead(asked < 60 ? 503 : 200).end()
    })
    expect((await probe(address, check({ startPeriodMs: 60_000, errorsPeriodMs: 1 }), alive)).healthy).toBe(true)
  })

  it('sees an app soon after it is ready, and asks the engine no more often than every interval', async () => {
    let knocks = 0
    const address = await serve((_, res) => res.writeHead(++knocks < 6 ? 500 : 200).end())
    let asked = 0
    const stillRunning = async () => {
      asked++
      return true
    }
    const patient = check({ intervalMs: 60_000, startPeriodMs: 120_000 })
    expect(await probe(address, patient, { stillRunning })).toMatchObject({ healthy: true, attempts: 7 })
    expect(asked).toBe(1)
  })

  it('stops on abort', async () => {
    const address = await serve(() => {})
    const controller = new AbortController()
    const result = probe(address, check({ timeoutMs: 60_000 }), { ...alive, signal: controller.signal })
    controller.abort()
    await expect(result).rejects.toMatchObject({ code: 'ERR_CANCELED' })
  })
})
