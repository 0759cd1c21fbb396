import { type ForgeProvider, forgeLabels } from '@/shared/forges'
import { type OutboundAnswer, OutboundError, pinnedRequest } from '../outbound/pinned-request'
import { retryAfterMs } from '../webhooks/schedule'
import { ForgeError } from './forge'

export interface ForgeAccess {
  provider: ForgeProvider
  /** Without a trailing slash. */
  apiUrl: string
  token: string
  allowPrivateNetwork: boolean
}

export interface ForgeClient {
  /** @throws ForgeError */
  get<T>(path: string): Promise<T>
  /** `accept`: whether an answer that is no success is one for this call. @throws ForgeError */
  send<T>(method: 'POST' | 'PUT' | 'PATCH', path: string, body: object, accept?: (answer: OutboundAnswer) => boolean): Promise<T>
}

const deadlineMs = 20_000
const maxAnswerBytes = 4 * 1024 * 1024
/** Shortest pause after a rate limit that names no time. */
const rateLimitPauseMs = 60_000
const longestRateLimitMs = 2 * 3_600_000

/** The API of a Git host, with its token. */
export function createForgeClient(access: ForgeAccess, signal: AbortSignal): ForgeClient {
  const call = async (method: string, path: string, body?: object, accept?: (answer: OutboundAnswer) => boolean) => {
    const answer = await request(access, method, path, body, signal)
    const isSuccess = answer.status >= 200 && answer.status < 300
    if (!isSuccess && !accept?.(answer)) throw refusal(access, answer, `${method} ${path.split('?')[0]}`)
    return parse(access, answer)
  }
  return {
    get: <T>(path: string) => call('GET', path) as Promise<T>,
    send: <T>(method: string, path: string, body: object, accept?: (answer: OutboundAnswer) => boolean) =>
      call(method, path, body, accept) as Promise<T>,
  }
}

async function request(access: ForgeAccess, method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<OutboundAnswer> {
  const { provider, apiUrl, allowPrivateNetwork } = access
  const headers = { ...headersOf(access), ...(body ? { 'content-type': 'application/json' } : {}) }
  const content = body ? { body: JSON.stringify(body) } : {}
  try {
    return await pinnedRequest({ url: new URL(apiUrl + path), method, headers, ...content, allowPrivateNetwork, maxAnswerBytes, deadlineMs, signal })
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    throw new ForgeError(error.isForbidden ? 'refused' : 'unavailable', `The API of ${forgeLabels[provider]} cannot be used: ${error.message}.`, {
      nextAction: error.isForbidden ? 'Connect the project with another address of the API.' : 'It is tried again by itself.',
      cause: error,
    })
  }
}

function headersOf({ provider, token }: ForgeAccess): Record<string, string> {
  switch (provider) {
    case 'github':
      return { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }
    case 'gitlab':
      return { 'private-token': token, accept: 'application/json' }
    case 'bitbucket':
      // API tokens of Atlassian are sent with the e-mail address of their owner; access tokens of a repository alone.
      return { authorization: token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`, accept: 'application/json' }
    case 'gitea':
      return { authorization: `token ${token}`, accept: 'application/json' }
  }
}

function parse({ provider }: ForgeAccess, { text, isCut }: OutboundAnswer): unknown {
  if (text === '') return null
  try {
    if (!isCut) return JSON.parse(text)
  } catch {}
  throw new ForgeError('unavailable', `${forgeLabels[provider]} answered with something that is not JSON.`, {
    nextAction: 'Check the address of the API.',
  })
}

/** What an answer that is no success means, in words. */
function refusal({ provider }: ForgeAccess, answer: OutboundAnswer, what: string): ForgeError {
  const label = forgeLabels[provider]
  const { status, headers } = answer
  const retryAt = rateLimitedUntil(answer, Date.now())
  if (retryAt)
    return new ForgeError('rate-limit', `The rate limit of ${label} is used up until ${retryAt.toISOString().slice(0, 16).replace('T', ' ')} UTC.`, {
      nextAction: 'It goes on by itself then.',
      retryAt,
    })
  if (status === 401)
    return new ForgeError('refused', `${label} does not accept the token (401): it has expired, or was revoked.`, { nextAction: 'Set a new token.' })
  if (status === 403)
    return new ForgeError('refused', `The token may not do this at ${label} (403): ${what}.`, {
      nextAction: 'Give the token the right to write commit statuses, comments and deployments.',
    })
  if (status === 404)
    return new ForgeError('refused', `${label} does not know the repository, or hides it from the token (404): ${what}.`, {
      nextAction: 'Check the name of the repository, and which repositories the token may reach.',
    })
  if (status >= 300 && status < 400)
    return new ForgeError('refused', `${label} answered with a redirect to ${headers.location ? 'another address' : 'nowhere'} (${status}).`, {
      nextAction: 'The repository was moved or renamed: connect it under its new name.',
    })
  if (status >= 500) return new ForgeError('unavailable', `${label} fails (${status}): ${what}.`, { nextAction: 'It is tried again by itself.' })
  return new ForgeError('refused', `${label} refused (${status}): ${what}.`, { nextAction: 'Check repository and commit at the Git host.' })
}

/** 429, and GitHub's 403 with `x-ratelimit-remaining: 0` or `retry-after`. null: no rate limit. */
function rateLimitedUntil({ status, headers }: OutboundAnswer, now: number): Date | null {
  const isUsedUp = headers['x-ratelimit-remaining'] === '0' || headers['retry-after'] !== undefined
  if (status !== 429 && !(status === 403 && isUsedUp)) return null
  const reset = Number(headers['x-ratelimit-reset'] ?? headers['ratelimit-reset'])
  const pause = retryAfterMs(headers['retry-after'], now) ?? (Number.isFinite(reset) ? reset * 1_000 - now : rateLimitPauseMs)
  return new Date(now + Math.min(Math.max(pause, 1_000), longestRateLimitMs))
}
