import { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const provider = webcrypto as unknown as Crypto
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface TestPair {
  certificatePem: string
  keyPem: string
}

export interface LeafOptions {
  notBefore?: Date
  notAfter?: Date
  /** RSA of so many bits instead of EC P-256. */
  rsaBits?: number
  /** Authority key identifier, hexadecimal; default: none. */
  keyIdentifier?: string
  /** Hexadecimal, as in DER. */
  serial?: string
}

export interface TestCa {
  /** PEM of the root. */
  rootPem: string
  /** PEM of the intermediate that signs leaves. */
  intermediatePem: string
  /** A server certificate for DNS names and IPv4 addresses. */
  leaf(names: string[], options?: LeafOptions): Promise<TestPair>
}

const dayMs = 86_400_000

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`
}

const generate = (rsaBits?: number) =>
  rsaBits
    ? webcrypto.subtle.generateKey(
        { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: rsaBits, publicExponent: new Uint8Array([1, 0, 1]) },
        true,
        ['sign', 'verify'],
      )
    : webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify'])

/** A certificate authority of a test's own: root, intermediate, leaves. */
export async function createTestCa(name = 'Test CA'): Promise<TestCa> {
  let serial = Date.now()
  const sign = (
    subject: string,
    keys: webcrypto.CryptoKeyPair,
    issuer: { name: string; key: webcrypto.CryptoKey },
    extensions: unknown[],
    life = {},
  ) =>
    X509CertificateGenerator.create(
      {
        serialNumber: (++serial).toString(16).padStart(16, '0'),
        subject,
        issuer: issuer.name,
        notBefore: new Date(Date.now() - dayMs),
        notAfter: new Date(Date.now() + 30 * dayMs),
        signingAlgorithm: ecdsa,
        publicKey: keys.publicKey as CryptoKey,
        signingKey: issuer.key as CryptoKey,
        extensions: extensions as BasicConstraintsExtension[],
        ...life,
      },
      provider,
    )
  const authority = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]
  const rootKeys = (await generate()) as webcrypto.CryptoKeyPair
  const root: X509Certificate = await sign(`CN=${name} Root`, rootKeys, { name: `CN=${name} Root`, key: rootKeys.privateKey }, authority)
  const middleKeys = (await generate()) as webcrypto.CryptoKeyPair
  const middle = await sign(`CN=${name}`, middleKeys, { name: root.subject, key: rootKeys.privateKey }, authority)
  return {
    rootPem: `${root.toString('pem')}\n`,
    intermediatePem: `${middle.toString('pem')}\n`,
    async leaf(names, { rsaBits, keyIdentifier, serial: serialNumber, ...life } = {}) {
      const keys = (await generate(rsaBits)) as webcrypto.CryptoKeyPair
      const alternatives = names.map((value) => ({ type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const), value }))
      const leaf = await sign(
        `CN=${names[0]}`,
        keys,
        { name: middle.subject, key: middleKeys.privateKey },
        [
          new SubjectAlternativeNameExtension(alternatives),
          new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
          ...(keyIdentifier ? [new AuthorityKeyIdentifierExtension(keyIdentifier)] : []),
        ],
        { ...life, ...(serialNumber ? { serialNumber } : {}) },
      )
      return { certificatePem: `${leaf.toString('pem')}\n`, keyPem: await pem(keys.privateKey) }
    },
  }
}
