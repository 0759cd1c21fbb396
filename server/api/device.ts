import { createHash } from 'node:crypto'
import { decode, encode } from 'next-auth/jwt'
import { newId } from '@/shared/node/ids'
import { getPlatform } from '../platform'
import { cookieName, cookieOptions, readCookie } from './session-cookie'
import { isSecure } from './visitor'

/**
 * A cookie that says which accounts this device has signed in to before. It opens nothing: it only keeps strangers who guess at an
 * account from slowing its owner down (OWASP, "Slow down online guessing attacks with device cookies").
 */

const keptSeconds = 180 * 24 * 60 * 60
/** People who share a device. */
const maxAccounts = 5
/** Keys of next-auth's tokens are derived with it: a session's token is no device's, and the other way round. */
const salt = 'device'

interface Device {
  id: string
  accounts: string[]
}

/** No address of a person lies readable on a shared device. */
const accountOf = (email: string): string => createHash('sha256').update(email).digest('base64url')

async function readDevice(headers: Headers): Promise<Device | null> {
  const token = readCookie(headers, 'device', isSecure(headers))
  if (!token) return null
  const claims = await decode({ token, secret: getPlatform().settings.authSecret, salt }).catch(() => null)
  return typeof claims?.did === 'string' && Array.isArray(claims.accounts) ? { id: claims.did, accounts: claims.accounts as string[] } : null
}

/** Id of the device when the account has been signed in to from it before, else null. `email` as it is stored. */
export async function knownDevice(headers: Headers, email: string): Promise<string | null> {
  const device = await readDevice(headers)
  return device?.accounts.includes(accountOf(email)) ? device.id : null
}

/** The Set-Cookie header that adds the account to what the device is known for. */
export async function rememberDevice(headers: Headers, email: string): Promise<string> {
  const before = await readDevice(headers)
  const account = accountOf(email)
  const accounts = [account, ...(before?.accounts ?? []).filter((one) => one !== account)].slice(0, maxAccounts)
  const token = { did: before?.id ?? newId(), accounts }
  const value = await encode({ token, secret: getPlatform().settings.authSecret, salt, maxAge: keptSeconds })
  const secure = isSecure(headers)
  const { path } = cookieOptions(secure)
  return `${cookieName('device', secure)}=${value}; Path=${path}; Max-Age=${keptSeconds}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}
