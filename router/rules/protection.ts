import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { digestToken, verifyPassword } from '@/shared/node/access-secrets'
import { accessParameter, type Protection, type ShareLinkDigest } from '@/shared/project-rules'
import { decodeQuery } from '@/shared/rules/destination'
import type { HeaderEdits, LocalAnswer } from '../gate/gate'
import type { Problem } from '../pages/pages'
import { visitorOf } from './addresses'
import { RateLimit } from './rate-limit'
import type { RequestView } from './request-view'

const accessCookie = 'switchyard_access'
const cookieSeconds = 7 * 24 * 3600
const rememberedMs = 5 * 60_000
const maxRemembered = 2_000
/**
 * Concurrent password verifications per process. Each uses 16 MiB and one of the four threads that also read files and resolve names.
 * `maxWaiting`: further verifications that one project may queue.
 */
const maxVerifying = 2
const maxWaiting = 16
let verifying = 0
/** Queued verifications by project, served round robin. */
const waiting = new Map<Guard, (() => void)[]>()
/** Wrong credentials allowed per visitor. */
export const wrongTries = { requests: 20, windowSeconds: 60 }
const maxCredentialBytes = 1024
/** Verified for unknown user names, so that the response time does not reveal whether a name exists. */
const nobodysHash = 'scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

export type Verdict =
  /** `edits` remove the credential from the request to the app. */
  { kind: 'pass'; edits: HeaderEdits } | { kind: 'problem'; problem: Problem } | { kind: 'answer'; answer: LocalAnswer }

interface User {
  name: string
  hash: string
}
interface Given {
  name: string
  password: string
}

/** `expiresAt`: ms since 1970; Infinity: never. */
interface Token {
  digest: Buffer
  expiresAt: number
}

function tokensOf(protection: Protection): Token[] {
  const lasting = protection.kind === 'token' ? protection.digests.map((digest) => ({ digest, expiresAt: Number.POSITIVE_INFINITY })) : []
  const all: ShareLinkDigest[] = [...lasting, ...(protection.links ?? [])]
  return all.map(({ digest, expiresAt }) => ({ digest: Buffer.from(digest, 'hex'), expiresAt }))
}

const withoutAuthorization: HeaderEdits = { remove: ['authorization'], set: [], append: [] }

/** Access check of a protected project. Verified credentials are cached for some minutes as a keyed hash, never as plain text. */
export class Guard {
  readonly #protection: Protection
  readonly #tokens: Token[]
  readonly #key = randomBytes(32)
  /** Hash of a credential → time in ms until which it counts as verified. */
  readonly #verified = new Map<string, number>()
  readonly #failures: RateLimit
  /** Verifications in progress, by the same hash: a page sends the same password with many requests at once. */
  readonly #checking = new Map<string, Promise<boolean>>()
  #waiting = 0

  constructor(protection: Protection, failures = new RateLimit(wrongTries.requests, wrongTries.windowSeconds)) {
    this.#protection = protection
    this.#tokens = tokensOf(protection)
    this.#failures = failures
  }

  /** Returns a promise only if a password must be verified. */
  check(view: RequestView, now: number): Verdict | Promise<Verdict> {
    const asked = this.#tokens.length > 0 ? view.queryValue(accessParameter) : undefined
    const entered = this.#byToken(view, asked)
    if (entered !== null) return entered
    if (this.#protection.kind === 'basic') return this.#basic(this.#protection.users, view, now)
    if (asked === undefined) return this.#refuse(view, 'token')
    const tries = this.#failures.take(visitorOf(view.facts.clientIp), now)
    if (tries.retryAfterSeconds > 0) return tooMany(view, tries.limit, tries.windowSeconds, tries.retryAfterSeconds)
    return this.#refuse(view, 'token')
  }

  #basic(users: User[], view: RequestView, now: number): Verdict | Promise<Verdict> {
    const given = readBasic(view.header('authorization'))
    if (given === null) return this.#refuse(view, 'password')
    const key = createHmac('sha256', this.#key).update(`${given.name}\0${given.password}`).digest('base64')
    if ((this.#verified.get(key) ?? 0) > now) return { kind: 'pass', edits: withoutAuthorization }
    const checking = this.#checking.get(key) ?? this.#begin(users, given, key, view, now)
    if (!(checking instanceof Promise)) return checking
    return checking.then((right) => (right ? { kind: 'pass', edits: withoutAuthorization } : this.#refuse(view, 'password')))
  }

  /** Only wrong passwords count as tries: an office with many users may share one address. */
  #begin(users: User[], given: Given, key: string, view: RequestView, now: number): Promise<boolean> | Verdict {
    const visitor = visitorOf(view.facts.clientIp)
    const tries = this.#failures.look(visitor, now)
    if (tries.retryAfterSeconds > 0) return tooMany(view, tries.limit, tries.windowSeconds, tries.retryAfterSeconds)
    if (this.#waiting >= maxWaiting) return tooMany(view, tries.limit, tries.windowSeconds, 5)
    const checking = this.#verify(users, given)
      .then((right) => {
        if (right) this.#remember(key, now)
        else this.#failures.charge(visitor, now)
        return right
      })
      .finally(() => this.#checking.delete(key))
    this.#checking.set(key, checking)
    return checking
  }

  async #verify(users: User[], given: Given): Promise<boolean> {
    this.#waiting += 1
    // A finished verification passes its slot directly to a queued one, so `verifying` stays unchanged and no new request can take the
    // slot.
    if (verifying >= maxVerifying) await new Promise<void>((resolve) => waiting.set(this, [...(waiting.get(this) ?? []), resolve]))
    else verifying += 1
    this.#waiting -= 1
    try {
      const user = users.find((one) => one.name === given.name)
      const right = await verifyPassword(given.password, user?.hash ?? nobodysHash)
      return right && user !== undefined
    } finally {
      if (!letNextIn()) verifying -= 1
    }
  }

  #remember(key: string, now: number): void {
    if (this.#verified.size >= maxRemembered) this.#verified.clear()
    this.#verified.set(key, now + rememberedMs)
  }

  /** null: no valid token was sent. A token in the address counts alone, so that a visitor sees whether a link is good. */
  #byToken(view: RequestView, asked: string | undefined): Verdict | null {
    if (this.#tokens.length === 0) return null
    if (asked !== undefined) {
      const token = this.#find(asked)
      return token && { kind: 'answer', answer: enter(view, asked, token.expiresAt) }
    }
    const bearer = /^bearer +(\S+) *$/i.exec(view.header('authorization') ?? '')?.[1]
    if (bearer !== undefined && this.#find(bearer)) return { kind: 'pass', edits: withoutAuthorization }
    const cookie = view.cookie(accessCookie)
    if (cookie !== undefined && this.#find(cookie)) return { kind: 'pass', edits: withoutCookie(view.header('cookie') ?? '') }
    return null
  }

  /** Compares with every token, so that the response time does not reveal which one it resembles. Expiry is by the wall clock. */
  #find(given: string): Token | null {
    if (given.length > maxCredentialBytes) return null
    const digest = Buffer.from(digestToken(given), 'hex')
    let found: Token | null = null
    for (const token of this.#tokens) if (token.digest.length === digest.length && timingSafeEqual(token.digest, digest)) found = token
    return found !== null && found.expiresAt > Date.now() ? found : null
  }

  #refuse(view: RequestView, what: 'password' | 'token'): Verdict {
    return { kind: 'problem', problem: { kind: 'protected', host: view.host, with: what } }
  }
}

/** Starts the next queued verification, round robin by project. False: the queue is empty. */
function letNextIn(): boolean {
  const [first] = waiting
  if (!first) return false
  const [guard, [next, ...others]] = first
  waiting.delete(guard)
  if (others.length > 0) waiting.set(guard, others)
  next?.()
  return true
}

function tooMany(view: RequestView, limit: number, windowSeconds: number, retryAfterSeconds: number): Verdict {
  return { kind: 'problem', problem: { kind: 'rate-limited', host: view.host, limit, windowSeconds, retryAfterSeconds } }
}

function readBasic(header: string | undefined): Given | null {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '')?.[1]
  if (encoded === undefined || encoded.length > 2 * maxCredentialBytes) return null
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** Moves the token from the URL, which is logged and shared, into a cookie that ends with the token. */
function enter(view: RequestView, token: string, expiresAt: number): LocalAnswer {
  const { path, query, scheme } = view.facts
  const kept = query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '' && decodeQuery(pair.split('=', 1)[0] ?? '') !== accessParameter)
  const location = `/${path.replace(/^[/\\]+/, '')}${kept.length > 0 ? `?${kept.join('&')}` : ''}`
  const maxAge = Math.min(cookieSeconds, Math.ceil((expiresAt - Date.now()) / 1000))
  const cookie = `${accessCookie}=${encodeURIComponent(token)}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${scheme === 'https' ? '; Secure' : ''}`
  const headers: [string, string][] = [
    ['Location', location],
    ['Set-Cookie', cookie],
    ['Cache-Control', 'no-store'],
    ['Referrer-Policy', 'no-referrer'],
    ['Content-Length', '0'],
  ]
  return { status: 303, headers, body: null, cache: 'none', why: 'protection' }
}

function withoutCookie(header: string): HeaderEdits {
  const kept = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '' && pair.split('=', 1)[0]?.trim() !== accessCookie)
  return kept.length > 0 ? { remove: [], set: [['cookie', kept.join('; ')]], append: [] } : { remove: ['cookie'], set: [], append: [] }
}
