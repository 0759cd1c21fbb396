import { createHash, X509Certificate } from 'node:crypto'
import { childrenOf, type Der, der, readDer, readTime } from './der'

/** What to ask of whom about a certificate. */
export interface OcspQuestion {
  url: string
  /** The certificate itself, for which the answer is. */
  certificate: Buffer
  /** OCSPRequest in DER. */
  request: Buffer
  /** CertID, as the answer must repeat it. */
  certId: Buffer
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
// AlgorithmIdentifier of SHA-1 with NULL: what every responder answers for; it protects nothing here (RFC 6960 §4.1.1).
const sha1Algorithm = Buffer.from('300906052b0e03021a0500', 'hex')
const sha1 = (bytes: Buffer) => createHash('sha1').update(bytes).digest()

/** The question about the first certificate of a chain; null when it names no responder, or its issuer is missing. */
export function questionFor(chainPem: string): OcspQuestion | null {
  const [leafPem, issuerPem] = chainPem.match(pemCertificate) ?? []
  if (!leafPem || !issuerPem) return null
  const leaf = new X509Certificate(leafPem)
  const url = /OCSP - URI:(http:\/\/\S+)/.exec(leaf.infoAccess ?? '')?.[1]
  if (url === undefined) return null
  // TBSCertificate: [0] version, serial, algorithm, issuer, … (RFC 5280 §4.1); version 1 has no such first field.
  const fields = childrenOf(childrenOf(readDer(leaf.raw))[0] as Der)
  const skip = fields[0]?.tag === 0xa0 ? 1 : 0
  const serial = fields[skip]
  const issuerName = fields[skip + 2]
  const spki = new X509Certificate(issuerPem).publicKey.export({ type: 'spki', format: 'der' })
  const keyBits = childrenOf(readDer(spki))[1]
  if (!serial || !issuerName || !keyBits) return null
  // The first byte of a BIT STRING counts unused bits.
  const key = keyBits.content.subarray(1)
  const certId = der(0x30, sha1Algorithm, der(0x04, sha1(issuerName.whole)), der(0x04, sha1(key)), serial.whole)
  const request = der(0x30, der(0x30, der(0x30, der(0x30, certId))))
  return { url, certificate: leaf.raw, request, certId }
}

/** Until when an answer may be stapled (ms since 1970); null when it must not be: an error, another certificate, revoked, out of date. */
export function goodUntil(response: Buffer, certId: Buffer, now: number): number | null {
  try {
    const [status, wrapped] = childrenOf(readDer(response))
    if (status?.content[0] !== 0 || !wrapped) return null
    const bytes = childrenOf(childrenOf(wrapped)[0] as Der)[1]
    const basic = childrenOf(readDer((bytes as Der).content))
    const data = childrenOf(basic[0] as Der)
    const responses = data.findLast((element) => element.tag === 0x30)
    for (const single of childrenOf(responses as Der)) {
      const [id, state, thisUpdate, nextUpdate] = childrenOf(single)
      if (!id?.whole.equals(certId) || state?.tag !== 0x80 || !thisUpdate || nextUpdate?.tag !== 0xa0) continue
      const from = readTime(thisUpdate)
      const until = readTime(childrenOf(nextUpdate)[0] as Der)
      // Clocks differ by minutes.
      if (from <= now + 300_000 && until > now) return until
    }
    return null
  } catch {
    return null
  }
}
