import { decode } from 'next-auth/jwt'
import { AppError } from '@/shared/errors'
import { type Actor, getPlatform } from '../platform'

export const sessionSeconds = 24 * 60 * 60

/** next-auth's names: with the prefix where the dashboard is opened by https. */
const cookieNames = ['__Secure-next-auth.session-token', 'next-auth.session-token']

function readCookies(header: string | null): Map<string, string> {
  const cookies = new Map<string, string>()
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=')
    if (at > 0) cookies.set(part.slice(0, at).trim(), part.slice(at + 1).trim())
  }
  return cookies
}

/** next-auth cuts a long token into `name.0`, `name.1`, … */
function sessionToken(headers: Headers): string | null {
  const cookies = readCookies(headers.get('cookie'))
  for (const name of cookieNames) {
    const whole = cookies.get(name)
    if (whole) return whole
    let joined = ''
    for (let i = 0; cookies.has(`${name}.${i}`); i++) joined += cookies.get(`${name}.${i}`)
    if (joined) return joined
  }
  return null
}

/** Id of the signed-in user; null without a valid session. */
export async function userOfSession(headers: Headers): Promise<string | null> {
  const token = sessionToken(headers)
  if (!token) return null
  const claims = await decode({ token, secret: getPlatform().settings.authSecret }).catch(() => null)
  return typeof claims?.uid === 'string' ? claims.uid : null
}

/**
 * Who asks: by API key, else by session cookie; null for nobody.
 * @throws ERR_UNAUTHENTICATED for a key that is not valid: falling back to the cookie would hide the mistake.
 */
export async function authenticate(headers: Headers): Promise<{ actor: Actor; by: 'key' | 'cookie' } | null> {
  const { accounts } = getPlatform()
  const authorization = headers.get('authorization')
  if (authorization) {
    const key = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
    const actor = key ? await accounts.actorOfApiKey(key) : null
    if (!actor)
      throw new AppError('ERR_UNAUTHENTICATED', 'The API key is not valid: unknown, revoked or expired.', {
        nextAction: 'Create a key in the dashboard under Settings, and send it as "Authorization: Bearer KEY".',
      })
    return { actor, by: 'key' }
  }
  const userId = await userOfSession(headers)
  const actor = userId ? await accounts.actorOfUser(userId, headers.get('x-switchyard-team') ?? undefined) : null
  return actor && { actor, by: 'cookie' }
}

export function signInRequired(): AppError {
  return new AppError('ERR_UNAUTHENTICATED', 'You are not signed in.', { nextAction: 'Sign in, or send an API key as "Authorization: Bearer KEY".' })
}

/**
 * A browser attaches cookies to requests other sites start, and our tenants' apps are siblings of the dashboard's own host:
 * a request that changes something must come from the dashboard itself.
 * @throws ERR_FORBIDDEN
 */
export function requireSameOrigin(headers: Headers): void {
  const origin = headers.get('origin')
  const site = headers.get('sec-fetch-site')
  const hosts = [headers.get('host'), headers.get('x-forwarded-host')].filter((host) => host !== null)
  // Clients other than browsers send neither header; a sandboxed frame sends the origin "null".
  const own = origin === null ? site === null || site === 'same-origin' || site === 'none' : hosts.includes(hostOf(origin))
  if (!own)
    throw new AppError('ERR_FORBIDDEN', 'This request was started by another site.', { nextAction: 'Open the dashboard itself and try again there.' })
}

function hostOf(origin: string): string {
  try {
    return new URL(origin).host
  } catch {
    return ''
  }
}
