import { X509Certificate } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import * as acme from 'acme-client'
import { z } from 'zod'
import type { AcmeClient } from './acme'
import { readFacts } from './pem'
import { AcmeProblem, AuthoritySilent } from './problems'

export type ChallengeMethod = 'http-01' | 'tls-alpn-01' | 'dns-01'

/** An ACME challenge and the response to it. */
export interface ChallengeAnswer {
  method: ChallengeMethod
  /** Hostname without `*.`. */
  hostname: string
  token: string
  /** The key authorization (http-01, tls-alpn-01) or its digest (dns-01). */
  value: string
}

/** A published challenge response. */
export interface Offer {
  /** Removes the response. */
  withdraw(): Promise<void>
  /**
   * Leaves the response published for a while after the connection to the CA was lost: the CA may be validating now, and a missing response
   * would fail the order. A later offer of the same response takes it over.
   */
  linger(): void
}

export interface OrderWork {
  client: AcmeClient
  /** Exact names and wildcards of the certificate. */
  names: readonly string[]
  method: ChallengeMethod
  /** URL of the order in progress; null: create a new order. */
  orderUrl: string | null
  /** RFC 9773 §5: the certificate being replaced; null: none that this CA issued. */
  replaces: string | null
  /** PKCS #8 PEM; recorded before the order, so that the certificate of a finished order is never without its key. */
  keyPem: string
  /** Called with the URL of a new order before any further request. */
  onOrder(url: string): Promise<void>
  /** Publishes a challenge response; resolves when the CA can see it. */
  offer(answer: ChallengeAnswer, signal: AbortSignal): Promise<Offer>
  /** Removes challenge responses that an earlier process may have left. Never throws. */
  takeBack(answer: ChallengeAnswer): Promise<void>
  signal: AbortSignal
}

const validationDeadlineMs = 180_000
const issuanceDeadlineMs = 180_000
const firstPollMs = 250
const maxPollMs = 5_000

/**
 * Completes an order from its current status.
 * @returns the chain as PEM, leaf first.
 * @throws AcmeProblem, AuthoritySilent, ChallengeError; `signal`'s reason when it is aborted. Challenge responses are removed in any case.
 */
export async function runOrder(work: OrderWork): Promise<string> {
  const { client, signal } = work
  let order = work.orderUrl ? await fetchOrder(client, work.orderUrl, signal) : await newOrder(work)
  // Responses served by routers end with their process, but a record at a DNS host stays.
  if (work.orderUrl && work.method === 'dns-01') await takeBackDecided(work, order)
  if (order.status === 'pending') {
    await authorize(work, order)
    order = await fetchOrder(client, order.url, signal)
  }
  if (order.status === 'ready') {
    const csr = await createRequest(work)
    const current = order
    order = await client
      .run(signal, (api) => api.finalizeOrder({ ...current }, csr))
      .catch(async (error) => {
        // The CA has already accepted the request: its response was lost, or another process sent it.
        const seen = error instanceof AcmeProblem && error.type === 'orderNotReady' ? await fetchOrder(client, current.url, signal) : null
        if (seen?.status === 'processing' || seen?.status === 'valid') return seen
        throw error
      })
  }
  const { url } = order
  if (order.status === 'processing')
    order = await poll(issuanceDeadlineMs, signal, async () => {
      const seen = await fetchOrder(client, url, signal)
      return seen.status === 'processing' ? null : seen
    })
  const finished = order
  if (finished.status !== 'valid') throw await problemOfOrder(client, finished, signal)
  const chain = await client.run(signal, (api) => api.getCertificate(finished))
  checkLeaf(chain, work)
  return chain
}

const fetchOrder = (client: AcmeClient, url: string, signal: AbortSignal): Promise<acme.Order> =>
  client.run(signal, (api) => api.getOrder({ url } as acme.Order))

const challengeShape = z.looseObject({ type: z.string(), url: z.string(), status: z.string(), token: z.string().optional() })
const authorizationShape = z.looseObject({
  status: z.string(),
  identifier: z.looseObject({ value: z.string() }),
  challenges: z.array(challengeShape),
})

/** The CA's response is unusable: treat it as the CA's fault, so that another CA may be asked and the order is not continued. */
const unreadable = (what: string): AcmeProblem =>
  new AcmeProblem({ type: 'serverInternal', status: 400, detail: `${what} from the CA cannot be read` })

async function fetchAuthorizations(client: AcmeClient, order: acme.Order, signal: AbortSignal): Promise<acme.Authorization[]> {
  const seen = await client.run(signal, (api) => api.getAuthorizations(order))
  if (!z.array(authorizationShape).safeParse(seen).success) throw unreadable('an authorization')
  return seen
}

async function newOrder(work: OrderWork): Promise<acme.Order> {
  const identifiers = work.names.map((value) => ({ type: 'dns', value }))
  const create = (extra: object) => work.client.run(work.signal, (api) => api.createOrder({ identifiers, ...extra }))
  let order: acme.Order
  try {
    order = await create(work.replaces ? { replaces: work.replaces } : {})
  } catch (error) {
    // RFC 9773 §5: the certificate was already replaced or is unknown to this account. Order without `replaces`.
    if (!work.replaces || !(error instanceof AcmeProblem) || ![400, 404, 409].includes(error.status)) throw error
    order = await create({})
  }
  await work.onOrder(order.url)
  return order
}

/** Responds to all pending challenges of the order in parallel and waits until the CA has validated them. */
async function authorize(work: OrderWork, order: acme.Order): Promise<void> {
  const { client, signal } = work
  const authorizations = await fetchAuthorizations(client, order, signal)
  // Wait for all before throwing the first failure: no challenge response may be published after this function returns.
  const verdicts = await Promise.allSettled(authorizations.filter((one) => one.status === 'pending').map((one) => validate(work, one)))
  for (const verdict of verdicts) if (verdict.status === 'rejected') throw verdict.reason
}

/** Removes DNS records of challenges that the CA decided while no process was running. */
async function takeBackDecided(work: OrderWork, order: acme.Order): Promise<void> {
  const { client, signal, method } = work
  for (const { status, identifier, challenges } of await fetchAuthorizations(client, order, signal)) {
    const challenge = challenges.find((one) => one.type === method)
    if (status === 'pending' || !challenge) continue
    const value = await client.run(signal, (api) => api.getChallengeKeyAuthorization(challenge))
    await work.takeBack({ method, hostname: identifier.value, token: challenge.token, value })
  }
}

async function validate(work: OrderWork, authorization: acme.Authorization): Promise<void> {
  const { client, signal, method } = work
  const challenge = authorization.challenges.find((one) => one.type === method)
  if (!challenge) {
    const offered = authorization.challenges.map((one) => one.type).join(', ')
    throw new AcmeProblem({
      type: 'unsupportedIdentifier',
      status: 400,
      detail: `the CA does not offer ${method} for ${authorization.identifier.value}, only ${offered}`,
    })
  }
  const value = await client.run(signal, (api) => api.getChallengeKeyAuthorization(challenge))
  const offer = await work.offer({ method, hostname: authorization.identifier.value, token: challenge.token, value }, signal)
  try {
    // The CA already validates a challenge that was answered before a crash.
    if (challenge.status === 'pending') await answerChallenge(work, challenge)
    await poll(validationDeadlineMs, signal, async () => {
      const [seen] = await fetchAuthorizations(client, { authorizations: [authorization.url] } as acme.Order, signal)
      if (!seen || seen.status === 'pending') return null
      if (seen.status !== 'valid') throw problemOfAuthorization(seen)
      return seen
    })
  } catch (error) {
    if (error instanceof AuthoritySilent) offer.linger()
    else await offer.withdraw()
    throw error
  }
  await offer.withdraw()
}

/**
 * Tells the CA that the response is in place. After a take-over the process before may have told it, and the CA has decided since the
 * authorization was read: it refuses the second request (RFC 8555 §7.5.1), and the poll that follows reads the verdict.
 */
async function answerChallenge({ client, signal }: OrderWork, challenge: acme.Authorization['challenges'][number]): Promise<void> {
  try {
    await client.run(signal, (api) => api.completeChallenge(challenge))
  } catch (error) {
    if (!(error instanceof AcmeProblem) || error.type !== 'malformed') throw error
  }
}

interface Subproblem {
  type?: string
  detail?: string
  status?: number
}

function problemOfAuthorization(authorization: acme.Authorization): AcmeProblem {
  const errors = authorization.challenges.flatMap((one) => ('error' in one && one.error ? [one.error as Subproblem] : []))
  const first = errors[0]
  return new AcmeProblem({
    type: first?.type ?? 'unauthorized',
    detail: first?.detail ?? `the authorization of ${authorization.identifier.value} is ${authorization.status}`,
    status: first?.status ?? 403,
    validation: true,
  })
}

/** Why an order is invalid: the order's own error, or the error of the failed authorization. */
async function problemOfOrder(client: AcmeClient, order: acme.Order, signal: AbortSignal): Promise<AcmeProblem> {
  const error = order.error as Subproblem | undefined
  // The status belongs to the failed order, not to our request: even with 500 the CA is available and the order is over.
  if (error) {
    const validation = String(error.type).endsWith(':unauthorized')
    return new AcmeProblem({ type: error.type, detail: error.detail, status: error.status === 404 ? 404 : 403, validation })
  }
  const authorizations = await fetchAuthorizations(client, order, signal)
  const failed = authorizations.find((one) => one.status === 'invalid')
  return failed ? problemOfAuthorization(failed) : new AcmeProblem({ type: 'orderNotReady', status: 403, detail: `the order is ${order.status}` })
}

async function createRequest(work: OrderWork): Promise<Buffer> {
  // No common name: it is limited to 64 characters and obsolete (CA/Browser Forum BR 7.1.4.2.2).
  const [, csr] = await acme.crypto.createCsr({ altNames: [...work.names] }, work.keyPem)
  return csr
}

/** Refuses a chain that does not match the key: using it would take the domain down. */
function checkLeaf(chain: string, work: OrderWork): void {
  const { names, key } = readLeaf(chain)
  const missing = work.names.find((name) => !names.includes(name))
  if (key !== acme.crypto.getPublicKey(work.keyPem).toString().trim() || missing)
    throw new AcmeProblem({
      type: 'orderNotReady',
      status: 502,
      detail: `the certificate the CA gave does not fit ${missing ?? 'the key of the order'}`,
    })
}

function readLeaf(chain: string): { names: string[]; key: string } {
  try {
    const { names, notBefore, notAfter } = readFacts(chain)
    if (!(notBefore < notAfter)) throw new Error('no lifetime')
    return { names, key: new X509Certificate(chain).publicKey.export({ type: 'spki', format: 'pem' }).toString().trim() }
  } catch {
    throw unreadable('the certificate')
  }
}

/** Polls until a result is available. @throws AcmeProblem at the deadline */
async function poll<T>(deadlineMs: number, signal: AbortSignal, look: () => Promise<T | null>): Promise<T> {
  const until = Date.now() + deadlineMs
  for (let pause = firstPollMs; ; pause = Math.min(pause * 1.5, maxPollMs)) {
    const found = await look()
    if (found !== null) return found
    if (Date.now() > until)
      throw new AcmeProblem({ type: 'serverInternal', status: 504, detail: `the CA did not decide within ${deadlineMs / 1000} s` })
    await wait(pause, undefined, { signal })
  }
}
