import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect } from 'vitest'
import type { LocalAnswer } from '../gate/gate'
import { factsOf, liveRoute } from '../gate/testing'
import type { LiveRoute } from '../match/host-table'
import { SharedCache, type SharedCacheOptions } from './answer-cache'
import type { OriginAnswer, OriginAsk } from './origin'

export type Reply = { status?: number; headers?: Record<string, string>; body?: string; cut?: boolean }
export type Seen = { method: string; target: string; headers: Record<string, string> }

export interface Got {
  status: number
  body: string
  bytes: Buffer
  headers: Record<string, string>
  cache: string
}

export interface CacheWorld {
  now: number
  cache: SharedCache
  /** Requests that the app received. */
  seen: Seen[]
  /** Response of the app; may be delayed. */
  app(request: Seen): Reply | Promise<Reply>
  /** Creates a cache in front of the app, with the clock of the test. */
  create(options?: Partial<SharedCacheOptions>): SharedCache
  /** Sends a request through the cache as an engine does. */
  get(
    target: string,
    headers?: Record<string, string>,
    more?: { method?: string; route?: LiveRoute; host?: string; scheme?: 'http' | 'https' },
  ): Promise<Got>
}

export const minute = { 'Cache-Control': 's-maxage=60' }
export const flush = () => new Promise((resolve) => setImmediate(resolve))
const lower = (headers: [string, string][]) => Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))

/** Sizes of the complete files below a directory. */
export async function sizesIn(directory: string): Promise<number[]> {
  const names = (await readdir(directory, { recursive: true })).filter((name) => !name.endsWith('.tmp'))
  return Promise.all(names.map(async (name) => (await stat(path.join(directory, name))).size))
}

/** Creates a separate cache and app for each test of the calling file. */
export function cacheWorld(): CacheWorld {
  const create = (options: Partial<SharedCacheOptions> = {}): SharedCache => {
    const ask = async ({ target, headers }: OriginAsk): Promise<OriginAnswer> => {
      const { status = 200, headers: given = {}, body = '' } = await call({ method: 'GET', target, headers: lower(headers) })
      return { status, headers: Object.entries(given), body: Buffer.from(body) }
    }
    return new SharedCache({ ask, directory: null, now: () => world.now, ...options })
  }
  const call = async (request: Seen): Promise<Reply> => {
    world.seen.push(request)
    return world.app(request)
  }
  const begin = () => ({ now: 1_000_000, seen: [], cache: create(), app: () => ({}) })
  const world: CacheWorld = { ...begin(), create, get: (target, headers = {}, more = {}) => visit(world, call, { target, headers, ...more }) }
  beforeEach(() => Object.assign(world, begin()))
  afterEach(() => world.cache.close())
  return world
}

interface Visit {
  target: string
  headers: Record<string, string>
  method?: string
  route?: LiveRoute
  host?: string
  scheme?: 'http' | 'https'
}

async function visit({ cache }: CacheWorld, call: (request: Seen) => Promise<Reply>, asked: Visit): Promise<Got> {
  const { target, headers, route: to = liveRoute() } = asked
  const facts = factsOf(target, { host: 'a.test', ...asked })
  const looked = cache.lookup(to, target, facts)
  const stored = looked instanceof Promise ? await looked : looked
  if (stored) return local(stored)
  const conditions = cache.conditions(to, target, facts)
  const filter = cache.filter(to, facts, target)
  const reply = await call({ method: facts.method, target, headers: { ...headers, ...lower(conditions ?? []) } })
  const { status = 200, headers: given = {}, body = '' } = reply
  const verdict = filter?.onHead(status, Object.entries(given)) ?? null
  const seenBy = () => filter?.cache ?? 'none'
  if (!verdict) return { status, body, bytes: Buffer.from(body), headers: given, cache: seenBy() }
  if ('replace' in verdict) return local(verdict.replace)
  const through = verdict.through ?? new PassThrough()
  if (reply.cut) {
    through.write(body.slice(0, 1))
    filter?.abort()
    throw new Error('cut')
  }
  through.end(body)
  const bytes = await buffer(through as PassThrough)
  return { status: verdict.status, body: bytes.toString(), bytes, headers: lower(verdict.headers), cache: seenBy() }
}

function local(answer: LocalAnswer): Got {
  const bytes = answer.body === null ? Buffer.alloc(0) : (answer.body as Buffer)
  expect(answer.head?.toString('latin1')).toBe(
    `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${answer.headers.map(([n, v]) => `${n}: ${v}\r\n`).join('')}`,
  )
  return { status: answer.status, body: bytes.toString(), bytes, headers: lower(answer.headers), cache: answer.cache }
}
