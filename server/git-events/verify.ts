import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { GitProvider } from '@/shared/git-events'

/** Proofs that a delivery comes from the Git host that knows the secret, each by its host's own scheme over the bytes as received. */

/** As the Standard Webhooks specification recommends. */
export const toleranceSeconds = 300

export interface Delivery {
  headers: Headers
  body: Buffer
}

/** `valid`: true only for the holder of one of the secrets. `why` is a sentence for the administrator of the Git host. */
export type Verdict = { valid: true } | { valid: false; why: string }

/** Compares in a time that does not depend on the texts. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}

const hmac = (key: string | Buffer, body: Buffer, encoding: 'hex' | 'base64') => createHmac('sha256', key).update(body).digest(encoding)

const header = (headers: Headers, names: readonly string[]): string | null => {
  for (const name of names) {
    const value = headers.get(name)
    if (value) return value.trim()
  }
  return null
}

/** Headers of an HMAC-SHA256 in hexadecimal digits over the body, with or without the prefix `sha256=`. */
const signatureHeaders: Record<Exclude<GitProvider, 'gitlab'>, readonly string[]> = {
  github: ['x-hub-signature-256'],
  bitbucket: ['x-hub-signature'],
  gitea: ['x-gitea-signature', 'x-forgejo-signature', 'x-hub-signature-256'],
}
const gitlabHeaders = ['webhook-signature', 'x-gitlab-token'] as const

const proofHeaders = (provider: GitProvider): readonly string[] => (provider === 'gitlab' ? gitlabHeaders : signatureHeaders[provider])

/** The headers that could prove a delivery; null when one is there. A delivery without any is refused before its body is read. */
export function missingProof(provider: GitProvider, headers: Headers): string | null {
  const names = proofHeaders(provider)
  return header(headers, names) ? null : names.join(' or ')
}

/** Whether the delivery was made with one of the secrets. Every secret is tried, whichever fits. */
export function verifyDelivery(provider: GitProvider, delivery: Delivery, secrets: readonly string[], now = Date.now()): Verdict {
  if (provider === 'gitlab') return verifyGitlab(delivery, secrets, now)
  const given = header(delivery.headers, signatureHeaders[provider])
  if (!given) return { valid: false, why: `${signatureHeaders[provider][0]} is missing: set the secret of the webhook at the Git host.` }
  const digits = given.replace(/^sha256=/i, '').toLowerCase()
  const fits = secrets.map((secret) => sameText(hmac(secret, delivery.body, 'hex'), digits))
  return fits.includes(true) ? { valid: true } : { valid: false, why: wrongSecret }
}

const wrongSecret = 'The signature does not fit: the secret of the webhook at the Git host is another one.'

function verifyGitlab({ headers, body }: Delivery, secrets: readonly string[], now: number): Verdict {
  const signatures = headers.get('webhook-signature')
  if (signatures) return verifyStandard(signatures, headers, body, secrets, now)
  const token = headers.get('x-gitlab-token')
  if (!token) return { valid: false, why: 'X-Gitlab-Token is missing: set the secret token of the webhook at GitLab.' }
  const fits = secrets.map((secret) => sameText(secret, token))
  return fits.includes(true) ? { valid: true } : { valid: false, why: 'The secret token of the webhook at GitLab is another one.' }
}

/** Standard Webhooks: `v1,<base64>` over `id.timestamp.body`. */
function verifyStandard(signatures: string, headers: Headers, body: Buffer, secrets: readonly string[], now: number): Verdict {
  const id = headers.get('webhook-id') ?? ''
  const timestamp = headers.get('webhook-timestamp') ?? ''
  if (!id || !/^\d{1,12}$/.test(timestamp)) return { valid: false, why: 'webhook-id or webhook-timestamp is missing.' }
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body])
  const given = signatures.split(' ').filter((one) => one.startsWith('v1,'))
  const fits = secrets.flatMap((secret) =>
    keysOf(secret).flatMap((key) => {
      const expected = `v1,${hmac(key, content, 'base64')}`
      return given.map((one) => sameText(expected, one))
    }),
  )
  if (!fits.includes(true)) return { valid: false, why: wrongSecret }
  const ageSeconds = Math.abs(now / 1000 - Number(timestamp))
  if (ageSeconds > toleranceSeconds)
    return {
      valid: false,
      why: `webhook-timestamp is ${Math.round(ageSeconds)} s away from this machine's clock; ${toleranceSeconds} s are accepted.`,
    }
  return { valid: true }
}

/** The key is what follows `whsec_`, decoded; a host may also take the whole text as the key. */
function keysOf(secret: string): (string | Buffer)[] {
  return secret.startsWith('whsec_') ? [Buffer.from(secret.slice('whsec_'.length), 'base64'), secret] : [secret]
}

/** Where each host writes the id of a delivery and the name of its event. */
const idHeaders: Record<GitProvider, readonly string[]> = {
  github: ['x-github-delivery'],
  // The same when GitLab tries again.
  gitlab: ['webhook-id', 'idempotency-key'],
  bitbucket: ['x-request-uuid', 'x-request-id'],
  gitea: ['x-gitea-delivery', 'x-forgejo-delivery', 'x-github-delivery'],
}
const eventHeaders: Record<GitProvider, readonly string[]> = {
  github: ['x-github-event'],
  gitlab: ['x-gitlab-event'],
  bitbucket: ['x-event-key'],
  gitea: ['x-gitea-event', 'x-forgejo-event', 'x-github-event'],
}

/** The host's id of the delivery. Where a host sends none, the bytes of the delivery take its place. */
export function deliveryIdOf(provider: GitProvider, { headers, body }: Delivery): string {
  const given = header(headers, idHeaders[provider])
  if (given && given.length <= 200) return given
  // GitLab before 17.4: events that follow from each other share this id.
  const event = provider === 'gitlab' ? (headers.get('x-gitlab-event-uuid') ?? '').slice(0, 100) : ''
  return `${event || 'body'}-${createHash('sha256').update(body).digest('hex')}`
}

export const eventNameOf = (provider: GitProvider, headers: Headers): string => (header(headers, eventHeaders[provider]) ?? '').slice(0, 100)
