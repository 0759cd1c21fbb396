import { decode } from 'next-auth/jwt'
import { AppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { getPlatform } from '../platform'
import { readCookie } from './session-cookie'
import { clientAddress, isSecure } from './visitor'

/** Id of the session in the cookie, active or ended; null: no cookie with a valid signature. */
export async function sessionIdOf(headers: Headers): Promise<string | null> {
  const token = readCookie(headers, 'session-token', isSecure(headers))
  if (!token) return null
  const claims = await decode({ token, secret: getPlatform().settings.authSecret }).catch(() => null)
  return typeof claims?.sid === 'string' ? claims.sid : null
}

/**
 * Authenticates by API key, else by session cookie; null: not signed in.
 * @throws ERR_UNAUTHENTICATED for a key that is not valid: falling back to the cookie would hide the mistake.
 */
export async function authenticate(headers: Headers): Promise<{ actor: Actor; by: 'key' | 'cookie' } | null> {
  const identity = await identify(headers)
  return identity && { ...identity, actor: { ...identity.actor, address: clientAddress(headers) } }
}

async function identify(headers: Headers): Promise<{ actor: Actor; by: 'key' | 'cookie' } | null> {
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
  const sessionId = await sessionIdOf(headers)
  const actor = sessionId ? await accounts.actorOfSession(sessionId, headers.get('x-switchyard-team') ?? undefined) : null
  return actor && { actor, by: 'cookie' }
}

export function signInRequired(): AppError {
  return new AppError('ERR_UNAUTHENTICATED', 'You are not signed in.', { nextAction: 'Sign in, or send an API key as "Authorization: Bearer KEY".' })
}

/**
 * Refuses mutations from other sites: browsers send cookies with cross-site requests, and apps of tenants run on sibling hosts of the dashboard.
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
