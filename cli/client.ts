import { randomUUID } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { AppError, type ErrorCode, errorStatus } from '@/shared/errors'
import { isWireError } from './failure'
import { cliVersion, noteServerVersion } from './version'

export interface ClientOptions {
  /** Base address of the control plane, without a trailing slash. */
  api: string
  token: string
  signal?: AbortSignal
}

interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  body?: unknown
  /** Raw body, sent instead of `body`. */
  file?: string
  deadlineMs?: number
  /** True for idempotent calls. Other calls carry an Idempotency-Key, so that they too can be retried after a lost connection. */
  idempotent?: boolean
  /** How long to retry while the server does not respond. */
  patienceMs?: number
}

const defaultPatienceMs = 3_000
/** Longer than a restart of the platform takes. */
export const restartPatienceMs = 120_000
const longestPauseMs = 2_000
/** Statuses of a server that is starting, or of a proxy in front of it. */
const notThereYet = new Set([502, 503, 504])
/** Error codes of a failed connection attempt: no byte of the request was sent. */
const refused = new Set(['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'])
const lost = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_CLOSED'])

/** Client of the REST API v1. Every call has a deadline; every failure is an AppError with a readable message. */
export class Client {
  readonly api: string
  readonly #token: string
  readonly #signal: AbortSignal | undefined

  constructor(options: ClientOptions) {
    this.api = options.api
    this.#token = options.token
    this.#signal = options.signal
  }

  /** @throws AppError with the error of the server, ERR_UNAVAILABLE if the server does not respond, ERR_DEADLINE. */
  async call<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.#send(path, call)
    const text = await response.text()
    if (!response.ok) throw await this.#failure(response, text)
    return (text ? this.#parse(path, text) : undefined) as T
  }

  /** Returns the response unread, for streams; the caller closes it with `signal`. */
  async stream(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch(path, { headers: { ...this.#headers(), ...headers }, signal })
    if (!response.ok) throw await this.#failure(response, await response.text())
    if (!response.body) throw new AppError('ERR_UNAVAILABLE', `${this.api} sent an empty answer`)
    return response.body
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#token}`, 'user-agent': `switchyard-cli/${cliVersion}` }
  }

  async #send(path: string, call: Call): Promise<Response> {
    const { method = 'GET', deadlineMs = 30_000, idempotent = method !== 'POST' && method !== 'PATCH', patienceMs = defaultPatienceMs } = call
    const giveUpAt = Date.now() + patienceMs
    const patient = idempotent && call.patienceMs !== undefined
    const headers = this.#headers()
    if (!idempotent) headers['idempotency-key'] = randomUUID()
    if (call.body !== undefined) headers['content-type'] = 'application/json'
    if (call.file !== undefined) headers['content-type'] = 'application/gzip'
    for (let attempt = 1; ; attempt++) {
      const body = call.file !== undefined ? await openAsBlob(call.file) : call.body === undefined ? null : JSON.stringify(call.body)
      const deadline = AbortSignal.timeout(deadlineMs)
      try {
        const signal = this.#signal ? AbortSignal.any([deadline, this.#signal]) : deadline
        const response = await this.#fetch(path, { method, headers, body, signal })
        const again = (patient && notThereYet.has(response.status)) || (attempt > 1 && (await stillRunning(response)))
        if (!again || Date.now() >= giveUpAt) return response
        await response.body?.cancel()
      } catch (error) {
        if (deadline.aborted && !(patient && Date.now() < giveUpAt))
          throw new AppError('ERR_DEADLINE', `${this.api} did not answer ${method} ${path} within ${Math.round(deadlineMs / 1000)} s`, {
            cause: error,
          })
        const code = networkCode(error)
        const again = deadline.aborted || (code !== null && (refused.has(code) || lost.has(code)))
        if (!again || Date.now() >= giveUpAt || this.#signal?.aborted) throw this.#unreachable(error)
      }
      await wait(Math.min(longestPauseMs, 100 * 2 ** attempt), undefined, { signal: this.#signal })
    }
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const response = await fetch(`${this.api}/api/v1${path}`, { ...init, redirect: 'error' })
    noteServerVersion(this.api, response.headers)
    return response
  }

  #unreachable(error: unknown): Error {
    if (this.#signal?.aborted) return this.#signal.reason instanceof Error ? this.#signal.reason : new AppError('ERR_CANCELED', 'Interrupted.')
    const code = networkCode(error)
    const why = code ?? (error instanceof Error ? error.message : String(error))
    return new AppError('ERR_UNAVAILABLE', `No answer from ${this.api} (${why}).`, {
      cause: error,
      nextAction: `Is Switchyard running there? Open ${this.api}/api/health, or give another address with --api.`,
    })
  }

  async #failure(response: Response, text: string): Promise<AppError> {
    const parsed = tryJson(text)
    const wire = typeof parsed === 'object' && parsed !== null && 'error' in parsed ? parsed.error : null
    if (isWireError(wire)) {
      const { code, message, ...details } = wire
      return new AppError(code, message, withLoginHint(code, details, this.api))
    }
    const code = codeOfStatus(response.status)
    return new AppError(code, `${this.api} answered ${response.status}${response.statusText ? ` ${response.statusText}` : ''}.`, {
      nextAction: `Is ${this.api} the address of a Switchyard dashboard? It should answer at /api/health.`,
    })
  }

  #parse(path: string, text: string): unknown {
    const value = tryJson(text)
    if (value === undefined)
      throw new AppError('ERR_UNAVAILABLE', `${this.api}/api/v1${path} did not answer with JSON.`, {
        nextAction: `Is ${this.api} the address of a Switchyard dashboard?`,
      })
    return value
  }
}

function withLoginHint(code: ErrorCode, details: AppError['details'], api: string): AppError['details'] {
  if (code !== 'ERR_UNAUTHENTICATED') return details
  return {
    ...details,
    nextAction: `Sign in again: switchyard login --api ${api}, or set SWITCHYARD_TOKEN to an API key from the dashboard's settings.`,
  }
}

/** The attempt whose connection was lost has not ended yet. */
async function stillRunning(response: Response): Promise<boolean> {
  if (response.status !== 409) return false
  const body = tryJson(await response.clone().text()) as { error?: { code?: string } } | undefined
  return body?.error?.code === ('ERR_IDEMPOTENCY_KEY_RUNNING' satisfies ErrorCode)
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function codeOfStatus(status: number): ErrorCode {
  // The response comes from a proxy, not from Switchyard.
  if (status >= 500) return 'ERR_UNAVAILABLE'
  return (Object.keys(errorStatus) as ErrorCode[]).find((code) => errorStatus[code] === status) ?? 'ERR_INVALID_INPUT'
}

/** Finds the reason of a `fetch` error: it is in `cause`, for several addresses in an AggregateError. */
export function networkCode(error: unknown): string | null {
  for (let current: unknown = error, depth = 0; current instanceof Error && depth < 4; depth++) {
    if ('code' in current && typeof current.code === 'string') return current.code
    current = current instanceof AggregateError ? current.errors[0] : current.cause
  }
  return null
}
