import http from 'node:http'
import { hopByHop } from '@/shared/hop-by-hop'
import type { LiveRoute } from '../match/host-table'
import { isLease, type Lease, type Targets } from '../targets/targets'
import type { Headers } from './entry'

/** A background request of the cache to an instance. */
export interface OriginAsk {
  route: LiveRoute
  /** Path and query. */
  target: string
  host: string
  scheme: 'http' | 'https'
  headers: Headers
}

export interface OriginAnswer {
  status: number
  headers: Headers
  body: Buffer
}

/** null: no target, no answer in time, or an answer that is too large. */
export type AskOrigin = (ask: OriginAsk) => Promise<OriginAnswer | null>

export interface OriginOptions {
  targets: Pick<Targets, 'acquire'>
  deadlineMs?: number
  maxBytes: number
}

const endsHere: ReadonlySet<string> = new Set([...hopByHop, 'x-request-id'])
const defaultDeadlineMs = 20_000

/** Sends background requests to the route's instances. They count toward the instances' limits like a visitor's and have a deadline. */
export function createOrigin(options: OriginOptions): { ask: AskOrigin; close(): void } {
  // Most servers close idle connections after 5 s; close ours earlier.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16, maxFreeSockets: 4, timeout: 4_000 })
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs
  return {
    async ask(ask) {
      const signal = AbortSignal.timeout(deadlineMs)
      const lease = await Promise.resolve(options.targets.acquire(ask.route, { cookie: () => undefined, avoid: null, signal })).catch(() => null)
      if (!lease || !isLease(lease)) return null
      const began = performance.now()
      try {
        const answer = await exchange(ask, lease, agent, signal, options.maxBytes)
        lease.done({ kind: 'answered', status: answer?.status ?? 0, headMs: performance.now() - began })
        return answer
      } catch {
        // A background request does not count against the health of its instance.
        lease.done({ kind: 'client-left' })
        return null
      }
    },
    close: () => agent.destroy(),
  }
}

function exchange(ask: OriginAsk, lease: Lease, agent: http.Agent, signal: AbortSignal, maxBytes: number): Promise<OriginAnswer | null> {
  const { host, port } = lease.target
  const headers: Record<string, string> = Object.fromEntries(ask.headers)
  headers.Host = ask.host
  headers['X-Forwarded-Proto'] = ask.scheme
  headers['X-Forwarded-Host'] = ask.host
  headers['X-Forwarded-Port'] = /:(\d+)$/.exec(ask.host)?.[1] ?? (ask.scheme === 'https' ? '443' : '80')
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method: 'GET', path: ask.target, headers, agent, signal, setHost: false }, (response) => {
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (part: Buffer) => {
        size += part.length
        parts.push(part)
        if (size <= maxBytes) return
        response.destroy()
        resolve(null)
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: endToEnd(response.rawHeaders), body: Buffer.concat(parts) }))
      response.once('error', reject)
      response.once('close', () => reject(new Error('the answer broke off')))
    })
    request.once('error', reject)
    request.end()
  })
}

function endToEnd(raw: readonly string[]): Headers {
  const pairs: Headers = []
  for (let at = 0; at + 1 < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? ''])
  const nominated = new Set(
    pairs.filter(([name]) => name.toLowerCase() === 'connection').flatMap(([, value]) => value.split(',').map((token) => token.trim().toLowerCase())),
  )
  return pairs.filter(([written]) => {
    const name = written.toLowerCase()
    return !endsHere.has(name) && !nominated.has(name) && !name.startsWith('x-switchyard-')
  })
}
