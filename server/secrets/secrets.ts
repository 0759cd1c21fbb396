import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { createKeyFile, keyBytes, readKeyFile } from './key-file'

/**
 * Envelope encryption: each team has a data key in the database, encrypted with the installation's master key in
 * `$home/secrets/master.key`. A database dump alone decrypts nothing, and a team's key does not decrypt another team's rows.
 */
export interface Secrets {
  /** Encrypts with the team's data key. */
  seal(teamId: string, plain: string): Promise<Uint8Array<ArrayBuffer>>
  /** @throws AppError ERR_INTERNAL when it was changed, or sealed for another team. */
  open(teamId: string, sealed: Uint8Array): Promise<string>
  /** Encrypts a value of the installation, such as its ACME account key. `purpose` is authenticated with the value. */
  sealOwn(purpose: string, plain: string): Uint8Array<ArrayBuffer>
  /** @throws AppError ERR_INTERNAL when it was changed, or sealed for another purpose. */
  openOwn(purpose: string, sealed: Uint8Array): string
  /** A keyed hash, to look a secret up without storing it. Without the master key no guess can be checked against it. */
  fingerprint(purpose: string, plain: string): string
  /** A new data key, sealed under the master key: `Team.dataKey` of a team about to be created. */
  createDataKey(teamId: string): Uint8Array<ArrayBuffer>
}

const masterKeyFile = 'master.key'
const format = 1
const ivBytes = 12
const tagBytes = 16

/** format byte | IV | tag | ciphertext; AES-256-GCM with a random 96-bit IV (NIST SP 800-38D §8.2.2). */
function encrypt(key: Uint8Array, plain: Uint8Array, context: string): Uint8Array<ArrayBuffer> {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  const text = Buffer.concat([cipher.update(plain), cipher.final()])
  return new Uint8Array(Buffer.concat([Buffer.of(format), iv, cipher.getAuthTag(), text]))
}

function decrypt(key: Uint8Array, sealed: Uint8Array, context: string): Buffer {
  const box = Buffer.from(sealed)
  if (box[0] !== format || box.length < 1 + ivBytes + tagBytes) throw new Error('unknown format of a sealed value')
  const iv = box.subarray(1, 1 + ivBytes)
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes }).setAAD(Buffer.from(context))
  decipher.setAuthTag(box.subarray(1 + ivBytes, 1 + ivBytes + tagBytes))
  return Buffer.concat([decipher.update(box.subarray(1 + ivBytes + tagBytes)), decipher.final()])
}

const dataKeyContext = (teamId: string) => `switchyard/data-key/${teamId}`
const ownContext = (purpose: string) => `switchyard/own/${purpose}`
const fingerprintContext = (purpose: string) => `switchyard/fingerprint/${purpose}`
const valueContext = (teamId: string) => `switchyard/value/${teamId}`

/**
 * Reads the master key, or generates it on an empty database, and verifies that it decrypts the teams' data keys.
 * @throws AppError when it is missing although there are teams, unprotected, malformed, or the key of another installation.
 */
export async function openSecrets(options: { prisma: PrismaClient; home: string }): Promise<Secrets> {
  const { prisma, home } = options
  const team = await prisma.team.findFirst({ orderBy: { createdAt: 'asc' }, select: { id: true, dataKey: true } })
  const known = await readKeyFile(home, masterKeyFile)
  const where = `${home}/secrets/${masterKeyFile}`
  if (!known && team)
    throw new AppError('ERR_UNAVAILABLE', `${where} is missing, but this database holds values encrypted with it`, {
      nextAction: `Restore ${where} from your backup; without it no stored variable can be read.`,
    })
  const master = known ?? (await createKeyFile(home, masterKeyFile))
  if (team) {
    try {
      decrypt(master, team.dataKey, dataKeyContext(team.id))
    } catch (cause) {
      throw new AppError('ERR_UNAVAILABLE', `${where} is not the key this database was encrypted with`, {
        cause,
        nextAction: `Restore the ${masterKeyFile} that belongs to this database, or point SWITCHYARD_HOME and DATABASE_URL at the same installation.`,
      })
    }
  }
  return createSecrets(prisma, master)
}

function createSecrets(prisma: PrismaClient, master: Buffer): Secrets {
  const dataKeys = new Map<string, Buffer>()
  async function dataKey(teamId: string): Promise<Buffer> {
    const cached = dataKeys.get(teamId)
    if (cached) return cached
    const team = await prisma.team.findUnique({ where: { id: teamId }, select: { dataKey: true } })
    if (!team) throw new AppError('ERR_NOT_FOUND', 'There is no such team.')
    const key = decrypt(master, team.dataKey, dataKeyContext(teamId))
    dataKeys.set(teamId, key)
    return key
  }
  return {
    async seal(teamId, plain) {
      return encrypt(await dataKey(teamId), Buffer.from(plain, 'utf8'), valueContext(teamId))
    },
    async open(teamId, sealed) {
      const key = await dataKey(teamId)
      try {
        return decrypt(key, sealed, valueContext(teamId)).toString('utf8')
      } catch (cause) {
        throw new AppError('ERR_INTERNAL', 'A stored secret cannot be decrypted: it was changed, or belongs to another team.', {
          cause,
          nextAction: 'Set its value again.',
        })
      }
    },
    sealOwn: (purpose, plain) => encrypt(master, Buffer.from(plain, 'utf8'), ownContext(purpose)),
    openOwn(purpose, sealed) {
      try {
        return decrypt(master, sealed, ownContext(purpose)).toString('utf8')
      } catch (cause) {
        throw new AppError('ERR_INTERNAL', `The stored ${purpose} cannot be decrypted: it was changed.`, { cause })
      }
    },
    fingerprint(purpose, plain) {
      const key = Buffer.from(hkdfSync('sha256', master, '', fingerprintContext(purpose), keyBytes))
      return createHmac('sha256', key).update(plain).digest('hex')
    },
    createDataKey: (teamId) => encrypt(master, randomBytes(keyBytes), dataKeyContext(teamId)),
  }
}
