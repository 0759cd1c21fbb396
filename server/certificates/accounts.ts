import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Secrets } from '../secrets/secrets'
import type { AcmeClient, AcmeTransport } from './acme'
import type { Authority } from './authorities'

const sealPurpose = 'acme-account'
const openDeadlineMs = 60_000

export interface AcmeAccounts {
  /** A client for this installation's account at the CA; creates the account at first use. */
  clientFor(authority: Authority): Promise<AcmeClient>
  /** Marks the account as unknown to the CA: the next use registers it again with the same key. */
  forget(authority: Authority): Promise<void>
}

/** A new EC P-256 private key as PKCS #8 PEM. */
export function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** One account per CA for the whole installation, shared by its machines. */
export function createAcmeAccounts(deps: {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'sealOwn' | 'openOwn'>
  transport: AcmeTransport
  email: string | null
}): AcmeAccounts {
  const { prisma, secrets, transport, email } = deps
  const clients = new Map<string, Promise<AcmeClient>>()

  async function open(authority: Authority): Promise<AcmeClient> {
    const { directory, binding } = authority
    // Two machines may register at the same time: one key is stored and both use it. The CA answers the second registration with the
    // existing account (RFC 8555 §7.3.1).
    await prisma.acmeAccount.createMany({ data: [{ directory, keyCiphertext: secrets.sealOwn(sealPurpose, newKeyPem()) }], skipDuplicates: true })
    const row = await prisma.acmeAccount.findUniqueOrThrow({ where: { directory } })
    const keyPem = secrets.openOwn(sealPurpose, row.keyCiphertext)
    createPrivateKey(keyPem)
    const client = transport.client(authority, { keyPem, url: row.accountUrl })
    if (row.accountUrl && row.contact === email) return client
    // An own deadline instead of the order's: all orders that need the account wait for this.
    const signal = AbortSignal.timeout(openDeadlineMs)
    const contact = email ? [`mailto:${email}`] : []
    const accountUrl = await client.run(signal, async (api) => {
      if (row.accountUrl) await api.updateAccount({ contact })
      else await api.createAccount({ termsOfServiceAgreed: true, ...(email ? { contact } : {}) })
      return api.getAccountUrl()
    })
    await prisma.acmeAccount.update({ where: { directory }, data: { accountUrl, contact: email, bindingKeyId: binding?.keyId ?? null } })
    return client
  }

  return {
    clientFor(authority) {
      const known = clients.get(authority.directory)
      if (known) return known
      const opening = open(authority)
      clients.set(authority.directory, opening)
      opening.catch(() => clients.delete(authority.directory))
      return opening
    },
    async forget({ directory }) {
      clients.delete(directory)
      await prisma.acmeAccount.updateMany({ where: { directory }, data: { accountUrl: null } })
    },
  }
}
