import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { X509Certificate as Asn1Certificate, AuthorityKeyIdentifierExtension } from '@peculiar/x509'
import { AppError } from '@/shared/errors'
import { covers } from '../domains/covers'

/** Parses certificates and keys in PEM, and checks that they match. */

const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g
const maxChain = 10
const minRsaBits = 2048
/**
 * The cost of an RSA signature grows with the cube of the key size: at 16,384 bits a handshake would block a worker for a quarter second.
 */
const maxRsaBits = 4096
/** Curves supported by common clients and the router's TLS. */
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

export interface CertificateFacts {
  /** dNSName entries, lower case. */
  names: string[]
  /** Common name or organization of the issuer. */
  issuer: string
  /** Hexadecimal, upper case. */
  serial: string
  notBefore: number
  notAfter: number
}

/** Leaf first, as given. @throws AppError ERR_INVALID_INPUT */
export function splitChain(pem: string): X509Certificate[] {
  const blocks = pem.match(block) ?? []
  if (blocks.length === 0 || blocks.length > maxChain)
    throw invalid(
      blocks.length === 0 ? 'There is no certificate in it.' : `A chain has at most ${maxChain} certificates.`,
      'Give the certificate and its intermediates as PEM.',
    )
  return blocks.map((text) => {
    try {
      return new X509Certificate(text)
    } catch {
      throw invalid('One of the certificates cannot be read.', 'Give the certificate and its intermediates as PEM, unchanged.')
    }
  })
}

/** The facts of a chain's leaf certificate. */
export function readFacts(chainPem: string): CertificateFacts {
  const [leaf] = splitChain(chainPem)
  if (!leaf) throw invalid('There is no certificate in it.', 'Give the certificate as PEM.')
  return factsOf(leaf)
}

function factsOf(leaf: X509Certificate): CertificateFacts {
  const issuer = /^(?:CN|O)=(.+)$/m.exec(leaf.issuer)?.[1] ?? leaf.issuer
  return {
    names: namesOf(leaf),
    issuer,
    serial: leaf.serialNumber,
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
  }
}

const namesOf = (leaf: X509Certificate): string[] =>
  (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((entry) => entry.startsWith('DNS:'))
    .map((entry) => entry.slice(4).toLowerCase())

/** Id of a pair of chain and key: contains the serial, so a renewed certificate gets a new id. */
export function pairId(certificateId: string, serial: string | null): string {
  const digits = (serial ?? '0').toLowerCase()
  // RFC 5280 §4.1.2.2 limits serials to 20 octets, but an uploaded certificate may have a longer one, and routers reject the whole table if
  // an id is too long.
  return `${certificateId}.${digits.length <= 41 ? digits : createHash('sha256').update(digits).digest('hex')}`
}

/**
 * certID of RFC 9773 §4.1: base64url of the authority key identifier, a dot, base64url of the serial's DER bytes. null: the leaf has no
 * authority key identifier.
 */
export function renewalId(chainPem: string): string | null {
  const [leaf] = splitChain(chainPem)
  if (!leaf) return null
  const keyId = new Asn1Certificate(leaf.raw).getExtension(AuthorityKeyIdentifierExtension)?.keyId
  if (!keyId) return null
  const hex = leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`
  const serial = Buffer.from(hex, 'hex')
  // DER: a leading zero keeps a number positive.
  const der = (serial[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), serial]) : serial
  return `${Buffer.from(keyId, 'hex').toString('base64url')}.${der.toString('base64url')}`
}

export interface CheckedPair {
  /** Leaf first, in order, without a self-signed root. */
  chainPem: string
  /** PKCS #8. */
  keyPem: string
  facts: CertificateFacts
}

const invalid = (message: string, nextAction: string) => new AppError('ERR_INVALID_INPUT', message, { step: 'certificate', nextAction })

/**
 * Checks an uploaded certificate and puts its chain in order.
 * @throws AppError ERR_INVALID_INPUT that names the mismatch: key, strength, dates, names or chain.
 */
export function checkPair(input: { chainPem: string; keyPem: string; hostname: string; now: number }): CheckedPair {
  const { hostname, now } = input
  const given = splitChain(input.chainPem)
  const key = readKey(input.keyPem)
  const leaf = given.find((one) => one.checkPrivateKey(key))
  if (!leaf) throw invalid('The private key does not belong to the certificate.', 'Upload the key with which this certificate was requested.')
  if (leaf.ca)
    throw invalid('The key belongs to a certificate authority, not to a server certificate.', 'Upload the certificate of the domain itself.')
  checkStrength(key)
  const facts = factsOf(leaf)
  if (facts.notAfter <= now) throw invalid(`The certificate expired on ${day(facts.notAfter)}.`, 'Upload a certificate that is valid.')
  if (facts.notBefore > now + 5 * 60_000)
    throw invalid(`The certificate is not valid before ${day(facts.notBefore)}.`, 'Upload a certificate that is valid now.')
  if (!covers(new Set(facts.names), hostname))
    throw invalid(
      `The certificate is for ${facts.names.join(', ') || 'no name'}, not for ${hostname}.`,
      `Upload a certificate whose names include ${hostname}.`,
    )
  const chain = orderChain(leaf, given, now)
  return { chainPem: chain.map((one) => one.toString()).join(''), keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), facts }
}

function readKey(pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem))
    throw invalid('The private key is protected by a passphrase.', 'Remove it first: openssl pkey -in key.pem -out plain.pem')
  try {
    return createPrivateKey(pem)
  } catch {
    throw invalid('The private key cannot be read.', 'Give it as PEM, beginning with -----BEGIN PRIVATE KEY-----.')
  }
}

function checkStrength(key: KeyObject): void {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  const strong = key.asymmetricKeyType === 'rsa' ? modulusLength >= minRsaBits : key.asymmetricKeyType === 'ec' && curves.has(namedCurve)
  if (!strong)
    throw invalid(
      'The key is of a kind browsers do not accept.',
      `Use RSA with ${minRsaBits} to ${maxRsaBits} bits, or an elliptic curve of P-256, P-384 or P-521.`,
    )
  if (modulusLength > maxRsaBits)
    throw invalid(
      `An RSA key of ${modulusLength} bits makes every visit slow.`,
      `Use RSA with at most ${maxRsaBits} bits, or an elliptic curve of P-256, P-384 or P-521.`,
    )
}

/**
 * The chain from the leaf upwards, each certificate signed by the next. Rejects unrelated certificates, because clients would receive them
 * too.
 */
function orderChain(leaf: X509Certificate, given: X509Certificate[], now: number): X509Certificate[] {
  const chain = [leaf]
  const rest = given.filter((one) => one !== leaf && one.fingerprint256 !== leaf.fingerprint256)
  for (let last = leaf; rest.length > 0; ) {
    const at = rest.findIndex((one) => last.checkIssued(one) && last.verify(one.publicKey))
    const next = rest[at]
    if (!next)
      throw invalid(
        'The chain has a certificate that did not sign the one before it.',
        'Upload the certificate and its own intermediates, nothing else.',
      )
    rest.splice(at, 1)
    if (Date.parse(next.validTo) <= now)
      throw invalid('An intermediate certificate of the chain has expired.', 'Upload the chain your CA offers today.')
    // Omit the root: clients have it already.
    if (!next.checkIssued(next)) chain.push(next)
    last = next
  }
  return chain
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)
