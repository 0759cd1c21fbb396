import { createHash } from 'node:crypto'
import { type LookupAddress, lookup } from 'node:dns'
import http from 'node:http'
import net from 'node:net'
import type { RouterLog } from '../log'
import { goodUntil, type OcspQuestion, questionFor } from './ocsp-message'

export interface StaplesOptions {
  log: RouterLog
  /** The first answer is there: from now on handshakes may ask. */
  onFirst: () => void
  /** Whether an address may be asked. The URL is the word of whoever uploaded the certificate: the default refuses what is not public. */
  allow?: (address: string) => boolean
}

interface Staple {
  question: OcspQuestion
  response: Buffer | undefined
  until: number
  timer: NodeJS.Timeout | undefined
}

const deadlineMs = 10_000
const maxResponseBytes = 64 * 1024
const retryMs = 10 * 60 * 1000
const longestMs = 24 * 60 * 60 * 1000
const maxStaples = 1_000

/**
 * OCSP answers to be stapled (RFC 6066 §8), fetched in the background and never waited for. Their signature is the client's to check;
 * here only what is plainly not for this certificate, not good or not current is left out. Let's Encrypt has no OCSP: most
 * installations never ask anybody.
 */
export class Staples {
  readonly #options: StaplesOptions
  /** By digest of the certificate. */
  readonly #staples = new Map<string, Staple>()
  #announced = false

  constructor(options: StaplesOptions) {
    this.#options = options
  }

  get some(): boolean {
    return this.#announced
  }

  /** Begins to ask about the first certificate of a chain, if it names whom to ask. */
  watch(chainPem: string): void {
    const question = questionFor(chainPem)
    if (!question || this.#staples.size >= maxStaples) return
    const key = keyOf(question.certificate)
    if (this.#staples.has(key)) return
    const staple: Staple = { question, response: undefined, until: 0, timer: undefined }
    this.#staples.set(key, staple)
    void this.#renew(key, staple)
  }

  of(certificate: Buffer): Buffer | undefined {
    const staple = this.#staples.get(keyOf(certificate))
    return staple && staple.until > Date.now() ? staple.response : undefined
  }

  async #renew(key: string, staple: Staple): Promise<void> {
    let nextMs = retryMs
    try {
      const response = await askResponder(staple.question, this.#options.allow ?? isPublicAddress)
      const until = goodUntil(response, staple.question.certId, Date.now())
      if (until === null) throw new Error('the answer is not good, not current, or about another certificate')
      Object.assign(staple, { response, until })
      nextMs = Math.min(longestMs, Math.max(60_000, (until - Date.now()) / 2))
      if (!this.#announced) {
        this.#announced = true
        this.#options.onFirst()
      }
    } catch (error) {
      this.#options.log.warn({ err: error, url: staple.question.url }, 'no OCSP answer to staple: clients may ask for themselves')
      if (staple.until <= Date.now()) staple.response = undefined
    }
    if (this.#staples.get(key) === staple) staple.timer = setTimeout(() => void this.#renew(key, staple), nextMs).unref()
  }

  close(): void {
    for (const { timer } of this.#staples.values()) clearTimeout(timer)
    this.#staples.clear()
  }
}

const keyOf = (certificate: Buffer) => createHash('sha256').update(certificate).digest('base64')

const local = new net.BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const)
  local.addSubnet(network, bits, 'ipv4')

function isPublicAddress(address: string): boolean {
  if (net.isIPv4(address)) return !local.check(address, 'ipv4')
  // Global unicast, without the ranges that carry IPv4 addresses within.
  return /^2[0-9a-f]{3}:|^3[0-9a-f]{3}:/i.test(address) && !/^2002:|^2001:0?:/i.test(address)
}

function askResponder({ url, request }: OcspQuestion, allow: (address: string) => boolean): Promise<Buffer> {
  const { hostname } = new URL(url)
  const literal = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (net.isIP(literal) !== 0 && !allow(literal)) return Promise.reject(new Error('the responder has no public address'))
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/ocsp-request', 'Content-Length': request.length }
    const outgoing = http.request(
      url,
      { method: 'POST', headers, agent: false, lookup: checkedLookup(allow), signal: AbortSignal.timeout(deadlineMs) },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > maxResponseBytes) response.destroy(new Error('the answer is too large'))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks))
          else reject(new Error(`the responder answered ${response.statusCode}`))
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(request)
  })
}

/** Resolves a name to those of its addresses that may be asked: what is connected to is what was checked. */
function checkedLookup(allow: (address: string) => boolean): net.LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      const allowed = error ? [] : addresses.filter(({ address }) => allow(address))
      const [first] = allowed
      if (!first) return done(error ?? new Error('the responder has no public address'), '', 4)
      if (options.all) return done(null, allowed)
      done(null, first.address, first.family)
    })
  }
}
