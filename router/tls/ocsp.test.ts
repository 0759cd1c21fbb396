import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { AuthorityInfoAccessExtension, PemConverter } from '@peculiar/x509'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { exec } from '@/shared/node/exec'
import { until } from '../engine/contract/testing'
import { Staples } from './ocsp'
import { goodUntil, questionFor } from './ocsp-message'
import { shakeHands, type TestAuthority, type TestCertificate, testAuthority, testTls } from './testing'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
let directory: string
let authority: TestAuthority
let responder: http.Server
let certificate: TestCertificate
/** What the responder says: openssl's index has V (valid), R (revoked); null: garbage. */
let state: 'V' | 'R' | null = 'V'
let asked = 0

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'ocsp-'))
  authority = await testAuthority()
  writeFileSync(path.join(directory, 'ca.pem'), authority.certificatePem)
  const key = await crypto.subtle.exportKey('pkcs8', authority.keys.privateKey)
  writeFileSync(path.join(directory, 'ca.key'), PemConverter.encode(key, 'PRIVATE KEY'))
  responder = http.createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', async () => {
      asked++
      res.end(state === null ? 'garbage' : await answerOf(Buffer.concat(chunks)))
    })
  })
  await new Promise<void>((resolve) => responder.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(responder.address() as AddressInfo).port}/`
  certificate = await authority.issue(['app.test'], { extensions: [new AuthorityInfoAccessExtension({ ocsp: url })] })
})
afterAll(() => {
  responder.close()
  rmSync(directory, { recursive: true, force: true })
})
beforeEach(() => {
  state = 'V'
  asked = 0
})

/** OpenSSL is the other side: it reads our request and signs an answer. */
async function answerOf(request: Buffer): Promise<Buffer> {
  const file = (name: string) => path.join(directory, name)
  const serial = new X509Certificate(certificate.chainPem).serialNumber
  const revoked = state === 'R' ? '240101000000Z' : ''
  writeFileSync(file('index.txt'), `${state}\t350101000000Z\t${revoked}\t${serial}\tunknown\t/CN=app.test\n`)
  writeFileSync(file('request.der'), request)
  const signing = ['-index', file('index.txt'), '-CA', file('ca.pem'), '-rsigner', file('ca.pem'), '-rkey', file('ca.key')]
  const files = ['-reqin', file('request.der'), '-respout', file('answer.der')]
  const { code, stderr } = await exec(['openssl', 'ocsp', ...files, '-ndays', '1', ...signing], { deadlineMs: 20_000 })
  if (code !== 0) throw new Error(stderr)
  return readFileSync(file('answer.der'))
}

test('openssl understands the question, and its answer is taken until it ends', async () => {
  const question = questionFor(certificate.chainPem)
  if (!question) throw new Error('no question')
  const answer = await answerOf(question.request)
  const until = goodUntil(answer, question.certId, Date.now())
  expect(until).toBeGreaterThan(Date.now() + 23 * 3_600_000)
  expect(goodUntil(answer, question.certId, Date.now() + 25 * 3_600_000)).toBeNull()
  expect(goodUntil(answer, question.certId, Date.now() - 3_600_000)).toBeNull()
  expect(goodUntil(answer, Buffer.from('another'), Date.now())).toBeNull()
  for (let cut = 0; cut < answer.length - 1; cut++) expect(() => goodUntil(answer.subarray(0, cut), question.certId, Date.now())).not.toThrow()
})

test('a revoked certificate has no staple', async () => {
  state = 'R'
  const question = questionFor(certificate.chainPem)
  if (!question) throw new Error('no question')
  expect(goodUntil(await answerOf(question.request), question.certId, Date.now())).toBeNull()
})

test('a chain without a responder or without its issuer asks nothing', async () => {
  expect(questionFor((await authority.issue(['a.test'])).chainPem)).toBeNull()
  expect(questionFor(certificate.chainPem.split('-----END CERTIFICATE-----')[0] ?? '')).toBeNull()
})

test('the answer is stapled to handshakes that ask for it, and the handshake before it came did not wait', async () => {
  const made = await testTls({ certificates: [certificate], allowResponder: () => true })
  const server = tls.createServer(made.edge.serverOptions(['http/1.1']), (socket) => socket.on('error', () => {}))
  made.edge.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const staple = async () => {
    let response: Buffer | null = null
    const asking = shakeHands(port, 'app.test', { ca: authority.certificatePem, requestOCSP: true })
    const { socket } = await asking
    socket.destroy()
    const again = tls.connect({ port, host: '127.0.0.1', servername: 'app.test', ca: authority.certificatePem, requestOCSP: true })
    await new Promise((resolve, reject) => {
      again.once('OCSPResponse', (bytes: Buffer) => {
        response = bytes
      })
      again.once('secureConnect', resolve)
      again.once('error', reject)
    })
    again.destroy()
    return response as Buffer | null
  }
  await staple()
  await until('a staple comes', async () => ((await staple())?.length ?? 0) > 0)
  const question = questionFor(certificate.chainPem)
  const stapled = await staple()
  expect(stapled && question && goodUntil(stapled, question.certId, Date.now())).toBeGreaterThan(Date.now())
  expect(asked).toBe(1)
  server.close()
  await made.close()
})

test('garbage is not stapled, and a responder within the network is not asked', async () => {
  const lines: string[] = []
  const log = { ...quiet, warn: (fields: object) => lines.push(String((fields as { err: Error }).err.message)) }
  state = null
  const garbage = new Staples({ log, onFirst: () => {}, allow: () => true })
  garbage.watch(certificate.chainPem)
  await until('it gave up', () => lines.length === 1)
  expect(asked).toBe(1)
  const guarded = new Staples({ log, onFirst: () => {} })
  guarded.watch(certificate.chainPem)
  await until('it gave up', () => lines.length === 2)
  expect(lines[1]).toMatch(/no public address/)
  expect(asked).toBe(1)
  garbage.close()
  guarded.close()
})
