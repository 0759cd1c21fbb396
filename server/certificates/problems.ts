import { type AppError, isAppError, type WireError } from '@/shared/errors'

/**
 * The cause of a problem decides the next action.
 * `network`: no response arrived: the order may still be valid and is continued.
 * `authority`: the CA is unavailable or refuses: another CA may be used.
 * `domain`: the CA's validation of the domain failed: no CA would issue, a user must act.
 * `order`: this order has failed; a new order may succeed.
 * `account`: the CA no longer knows the account.
 */
export type Fault = 'network' | 'authority' | 'domain' | 'order' | 'account'

const maxTextLength = 1_000

/**
 * Makes text of external systems safe to store and show: a CA quotes the domain's server, and a webhook may send anything. Postgres rejects
 * NUL and lone surrogates in JSON, and terminals interpret control characters.
 */
const plainText = (text: unknown): string =>
  typeof text === 'string'
    ? text
        .slice(0, 4 * maxTextLength)
        .replace(/[\s\p{Cc}]+/gu, ' ')
        .trim()
        .slice(0, maxTextLength)
        .toWellFormed()
    : ''

/** A problem document of the CA (RFC 8555 §6.7, RFC 7807). */
export class AcmeProblem extends Error {
  /** Last part of the URN, such as `rateLimited`; empty when the CA sent none. */
  readonly type: string
  readonly status: number
  readonly retryAfterMs: number | null
  /** The problem is the result of the CA's validation of the domain, not a refusal of our request. */
  readonly validation: boolean
  constructor(problem: {
    type?: string | undefined
    detail?: string | undefined
    status: number
    retryAfterMs?: number | null
    validation?: boolean
  }) {
    super(plainText(problem.detail) || `the CA answered ${problem.status}`)
    this.name = 'AcmeProblem'
    this.validation = problem.validation ?? false
    this.type = plainText(problem.type).replace(/^urn:ietf:params:acme:error:/, '')
    this.status = problem.status
    this.retryAfterMs = problem.retryAfterMs ?? null
  }
}

/** A step on our side failed before the CA was asked, for example publishing a challenge response at the DNS host. */
export class ChallengeError extends Error {
  readonly nextAction: string | undefined
  constructor(message: string, options: { cause?: unknown; nextAction?: string } = {}) {
    super(plainText(message), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ChallengeError'
    this.nextAction = options.nextAction
  }
}

/** No response: connection refused, timed out or reset. */
export class AuthoritySilent extends Error {
  /** False: no request that contains a domain was sent. */
  readonly sent: boolean
  constructor(cause: unknown, sent: boolean) {
    super(plainText(cause instanceof Error ? cause.message : String(cause)), { cause })
    this.name = 'AuthoritySilent'
    this.sent = sent
  }
}

const domainFaults = new Set(['caa', 'connection', 'dns', 'dnssec', 'incorrectResponse', 'tls'])
const orderFaults = new Set(['orderNotReady', 'badCSR', 'conflict', 'malformed'])

export function faultOf(error: unknown): Fault {
  if (error instanceof ChallengeError) return 'domain'
  // Our own refusal, such as a key or credentials that cannot be decrypted: no request was sent, and a retry would fail again.
  if (isAppError(error)) return 'authority'
  if (!(error instanceof AcmeProblem)) return 'network'
  if (error.validation) return error.type === 'serverInternal' ? 'authority' : 'domain'
  if (error.type === 'accountDoesNotExist') return 'account'
  if (domainFaults.has(error.type)) return 'domain'
  if (error.status === 404 || orderFaults.has(error.type)) return 'order'
  return error.status >= 500 ? 'network' : 'authority'
}

const nextActions: Readonly<Record<string, string>> = {
  caa: 'Allow the CA in the CAA records of the domain, or remove them.',
  connection: 'Make sure that ports 80 and 443 of the address in DNS lead to this installation.',
  dns: 'Check the A, AAAA and TXT records of the domain at your DNS host.',
  dnssec: 'The DNSSEC signatures of the domain do not verify: correct them at your DNS host.',
  tls: 'Make sure that port 443 of the address in DNS leads to this installation, without a proxy that ends TLS.',
  unauthorized: 'The address in DNS is answered by something else: point the records here, and remove a wrong AAAA record.',
  incorrectResponse: 'The address in DNS is answered by something else: point the records here, and remove a wrong AAAA record.',
  rateLimited: 'Nothing to do: it is asked again when the CA allows it.',
  rejectedIdentifier: 'The CA refuses this name by its policy: upload a certificate of your own.',
  userActionRequired: 'The operator of this installation must do at the CA what it says; then it is asked again by itself.',
  externalAccountRequired: 'This CA wants an account binding: set ACME_EAB_KEY_ID and ACME_EAB_HMAC_KEY.',
}

const accountRefused = 'The CA refuses the request, not what it saw of the domain: the operator of this installation must look at its account there.'
const askedAgain = 'Nothing to do now: it is asked for again by itself.'

/** RFC 8555 §7.3.6: the CA reports a deactivated account with the same type as a failed validation. */
const nextActionOf = ({ type, validation }: AcmeProblem): string =>
  type === 'unauthorized' && !validation ? accountRefused : (nextActions[type] ?? askedAgain)

/** Text for users: what failed, the cause, what is still served, the next action. */
export function toCertificateProblem(error: unknown, context: { step: string; stillServing?: string | null }): WireError {
  const common = { step: context.step, ...(context.stillServing ? { stillServing: context.stillServing } : {}) }
  if (isAppError(error)) return { ...(error as AppError).toWire(), ...common }
  const text = error instanceof Error ? error.message : String(error)
  if (error instanceof ChallengeError) return { code: 'ERR_UNAVAILABLE', message: text, ...common, nextAction: error.nextAction ?? askedAgain }
  if (!(error instanceof AcmeProblem))
    return {
      code: 'ERR_UNAVAILABLE',
      message: `The certificate authority does not answer (${text}).`,
      ...common,
      nextAction: 'Nothing to do: it is asked again by itself. Check that this machine reaches the internet if it lasts.',
    }
  return {
    code: error.type === 'rateLimited' ? 'ERR_RATE_LIMITED' : faultOf(error) === 'domain' ? 'ERR_INVALID_INPUT' : 'ERR_UNAVAILABLE',
    message: `The certificate authority says: ${text}${error.type ? ` (${error.type})` : ''}`,
    ...common,
    nextAction: nextActionOf(error),
    ...(error.retryAfterMs === null ? {} : { retryAfterSeconds: Math.ceil(error.retryAfterMs / 1000) }),
  }
}
