import { createHash, randomBytes } from 'node:crypto'

const prefixLength = 10

/** `sy_` + 256 random bits: recognisable to secret scanners, impossible to guess. */
export const newApiKey = (): string => `sy_${randomBytes(32).toString('base64url')}`

export const hashApiKey = (key: string): string => createHash('sha256').update(key).digest('hex')

/** Plain-text prefix by which people recognize a key; shorter for a short key chosen by the user. */
export const prefixOf = (key: string): string => key.slice(0, Math.min(prefixLength, Math.floor(key.length / 3)))
