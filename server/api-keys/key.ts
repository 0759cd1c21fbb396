import { randomBytes } from 'node:crypto'
import type { Secrets } from '../secrets/secrets'

const prefixLength = 10

/** `sy_` + 256 random bits: recognisable to secret scanners, impossible to guess. */
export const newApiKey = (): string => `sy_${randomBytes(32).toString('base64url')}`

/** The form in which a key is stored and looked up. */
export const hashApiKey = (secrets: Secrets, key: string): string => secrets.fingerprint('api-key', key)

/** Plain-text prefix by which people recognize a key; shorter for a short key chosen by the user. */
export const prefixOf = (key: string): string => key.slice(0, Math.min(prefixLength, Math.floor(key.length / 3)))
