import http from 'node:http'
import type { LiveRoute } from '../match/host-table'
import type { LocalAnswer, RequestFacts } from './gate'

const fetchTimeoutMs = 2_000
const maxPageBytes = 512 * 1024
const freshMs = 60_000
const maxPages = 500
/** Maximum bytes of the error pages of all projects together. */
const defaultMaxBytes = 32 * 1024 * 1024

interface Kept {
  page: LocalAnswer | null
  /** Unix time in ms after which the page is fetched again. */
  until: number
  asking: boolean
}

/** The path of the project's page for a status, by `404` or `4xx`. null: the router's own page is shown. */
export function errorPagePath(pages: Record<string, string>, status: number): string | null {
  return pages[String(status)] ?? pages[`${Math.floor(status / 100)}xx`] ?? null
}

/**
 * Error pages served by an app. They are needed when the app does not answer, so they are fetched in advance: at the first request, then
 * once a minute while requests arrive. The last fetched page is shown.
 */
export class InstancePages {
  readonly #kept = new Map<string, Kept>()
  readonly #agent = new http.Agent({ keepAlive: false, maxSockets: 8 })
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes = defaultMaxBytes) {
    this.#maxBytes = maxBytes
  }

  /** The last fetched page; null: none. Never waits. */
  get(route: LiveRoute, path: string): LocalAnswer | null {
    return this.#kept.get(keyOf(route, path))?.page ?? null
  }

  /** Fetches a missing or outdated page in the background; call with every request. */
  refresh(route: LiveRoute, path: string, now: number): void {
    const key = keyOf(route, path)
    const kept = this.#kept.get(key) ?? { page: null, until: 0, asking: false }
    const [target] = route.targets
    if (kept.asking || kept.until > now || !target) return
    if (!this.#kept.has(key) && this.#kept.size >= maxPages) for (const oldest of [...this.#kept.keys()].slice(0, 50)) this.#forget(oldest)
    this.#keep(key, { ...kept, asking: true })
    const done = (page: LocalAnswer | null) => this.#keep(key, { page: page ?? kept.page, until: now + freshMs, asking: false })
    fetchPage(this.#agent, target, route.host, path).then(done, () => done(null))
  }

  close(): void {
    this.#agent.destroy()
  }

  // Moves the entry to the end: pages of projects without requests are evicted first.
  #keep(key: string, kept: Kept): void {
    this.#forget(key)
    this.#kept.set(key, kept)
    this.#bytes += sizeOf(kept)
    for (const [oldest, { page }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) return
      if (page !== null) this.#forget(oldest)
    }
  }

  #forget(key: string): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#bytes -= sizeOf(kept)
    this.#kept.delete(key)
  }
}

const sizeOf = ({ page }: Kept): number => (Buffer.isBuffer(page?.body) ? page.body.length : 0)

// Each deployment has its own pages.
const keyOf = (route: LiveRoute, path: string): string => `${route.deploymentId ?? route.projectId} ${path}`

/** Fetches a page. null: late, too large, or neither 2xx nor the status of the error itself. */
function fetchPage(agent: http.Agent, target: { host: string; port: number }, host: string, path: string): Promise<LocalAnswer | null> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(fetchTimeoutMs)
    const headers = { host, accept: 'text/html', 'user-agent': 'switchyard-router', 'accept-encoding': 'identity' }
    // The path comes from a project's file, and Node throws on spaces in it.
    const sent = path.replace(/[^\x21-\x7e]+/g, (signs) => encodeURIComponent(signs.toWellFormed()))
    const request = http.get({ host: target.host, port: target.port, path: sent, headers, agent, signal }, (response) => {
      const status = response.statusCode ?? 0
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxPageBytes) response.destroy(new Error('too large'))
        else chunks.push(chunk)
      })
      response.on('error', () => resolve(null))
      response.on('end', () => {
        const usable = (status >= 200 && status < 300) || status === 404 || status === 500
        resolve(usable ? pageOf(Buffer.concat(chunks), response.headers['content-type']) : null)
      })
    })
    request.on('error', () => resolve(null))
  })
}

function pageOf(body: Buffer, type: string | undefined): LocalAnswer {
  const headers: [string, string][] = [
    ['Content-Type', type ?? 'text/html; charset=utf-8'],
    ['Content-Length', String(body.length)],
  ]
  return { status: 200, headers, body, cache: 'none', why: null }
}

/** Clients that accept JSON but not HTML get JSON even if the project has an error page. */
export function wantsOwnPage(facts: RequestFacts): boolean {
  const accept = facts.header('accept')?.toLowerCase() ?? ''
  return !accept.includes('json') || accept.includes('html')
}
