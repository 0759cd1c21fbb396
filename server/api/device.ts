import { createHash } from 'node:crypto'
import { decode, encode } from 'next-auth/jwt'
import { newId } from '@/shared/node/ids'
import { getPlatform } from '../platform'
import { cookieName, cookieOptions, readCookie } from './session-cookie'
import { isSecure } from './visitor'

/**
 * A cookie that lists the accounts that signed in on this device. It grants no access: it only prevents attackers who guess passwords from
 * slowing down the account's owner (OWASP, "Slow down online guessing attacks with device cookies").
 */

const keptSeconds = 180 * 24 * 60 * 60
/** Maximum accounts per device. */
const maxAccounts = 5
/** Salt of key derivation, different from that of next-auth's tokens, so that neither token is accepted as the other. */
const salt = 'device'

interface Device {
  id: string
  accounts: string[]
}

/** Hashed, so that no e-mail address is readable on a shared device. */
const accountOf = (email: string): string => createHash('sha256').update(email).digest('base64url')

async function readDevice(headers: Headers): Promise<Device | null> {
  const token = readCookie(headers, 'device', isSecure(headers))
  if (!token) return null
  const claims = await decode({ token, secret: getPlatform().settings.authSecret, salt }).catch(() => null)
  return typeof claims?.did === 'string' && Array.isArray(claims.accounts) ? { id: claims.did, accounts: claims.accounts as string[] } : null
}

/** Id of the device if the account has signed in on it before; else null. `email`: as stored. */
export async function knownDevice(headers: Headers, email: string): Promise<string | null> {
  const device = await readDevice(headers)
  return device?.accounts.includes(accountOf(email)) ? device.id : null
}

/** The Set-Cookie header that adds the account to the device's cookie. */
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
