/** Certificates for tests: a test CA with ECDSA P-256, and a TLS terminator with its certificates. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import * as x509 from '@peculiar/x509'
import type { CertificateEntry } from '@/shared/route-table'
import type { RouterLog } from '../log'
import { createTlsTerminator, type TlsTerminatorOptions } from './node-tls-terminator'
import type { KeyPair } from './sealed-store'
import { SessionKeys } from './session-keys'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 24 * 60 * 60 * 1000

export interface TestCertificate extends KeyPair {
  entry: CertificateEntry
}

export interface TestAuthority {
  certificatePem: string
  keys: CryptoKeyPair
  issue(names: string[], options?: IssueOptions): Promise<TestCertificate>
}

export interface IssueOptions {
  id?: string
  /** Milliseconds from now. */
  notAfterMs?: number
  extensions?: x509.Extension[]
}

let serial = 1
const nextSerial = () => (++serial).toString(16).padStart(8, '0')
const privatePem = async (key: CryptoKey) => x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

/** Creates a CA that issues certificates for tests. */
export async function testAuthority(): Promise<TestAuthority> {
  const keys = await newKeys()
  const name = 'CN=Test CA'
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: nextSerial(),
    name,
    notBefore: new Date(Date.now() - 400 * day),
    notAfter: new Date(Date.now() + 400 * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
  })
  const issue = async (names: string[], { id = `c${nextSerial()}`, notAfterMs = 60 * day, extensions = [] }: IssueOptions = {}) => {
    const own = await newKeys()
    const notAfter = new Date(Math.floor((Date.now() + notAfterMs) / 1000) * 1000)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      subject: `CN=${names[0]}`,
      issuer: name,
      notBefore: new Date(Math.min(Date.now(), notAfter.getTime()) - 90 * day),
      notAfter,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))), ...extensions],
    })
    const entry = { id, names, notAfter: notAfter.getTime() }
    return { id, entry, chainPem: `${certificate.toString('pem')}\n${authority.toString('pem')}\n`, keyPem: await privatePem(own.privateKey) }
  }
  return { certificatePem: authority.toString('pem'), keys, issue }
}

export interface TestTlsOptions extends Partial<TlsTerminatorOptions> {
  /** Certificates that `ask` returns; may be changed during the test. */
  certificates?: TestCertificate[]
}

/** A TLS terminator with its own directory (or a shared one). `asked`: ids of certificates that it requested from the control plane. */
export async function testTls({ certificates = [], ...options }: TestTlsOptions = {}) {
  const own = options.directory === undefined
  const directory = options.directory ?? mkdtempSync(path.join(tmpdir(), 'switchyard-tls-'))
  const log: RouterLog = options.log ?? { info: () => {}, warn: () => {}, error: () => {} }
  const sessionKeys = options.sessionKeys ?? new SessionKeys({ file: path.join(directory, 'ticket.keys'), log })
  const asked: string[] = []
  const ask = async (ids: string[]) => {
    asked.push(...ids)
    return certificates.filter(({ id }) => ids.includes(id))
  }
  const edge = createTlsTerminator({ ask, handshakeTimeoutMs: 1_000, ...options, directory, sessionKeys, log })
  await edge.apply(certificates.map(({ entry }) => entry))
  const close = async () => {
    edge.close()
    sessionKeys.close()
    if (own) rmSync(directory, { recursive: true, force: true })
  }
  return { edge, sessionKeys, directory, certificates, asked, close }
}

export interface Handshake {
  socket: tls.TLSSocket
  protocol: string | null
  alpn: string | false | null
  /** Names in the certificate. */
  names: string | undefined
  notAfter: number
  resumed: boolean
  /** The first resumable session: with TLS 1.3 it arrives after the handshake, so the client must read data. */
  session: Promise<Buffer>
}

/** Performs a TLS handshake like a browser; rejects with the error of the server or of the certificate check. */
export function shakeHands(port: number, servername: string, options: tls.ConnectionOptions = {}): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername, ALPNProtocols: ['http/1.1'], ...options })
    const session = new Promise<Buffer>((come) => socket.once('session', come))
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      const { subjectaltname, valid_to } = socket.getPeerCertificate()
      resolve({
        socket,
        protocol: socket.getProtocol(),
        alpn: socket.alpnProtocol,
        names: subjectaltname,
        notAfter: Date.parse(valid_to),
        resumed: socket.isSessionReused(),
        session,
      })
    })
  })
}
