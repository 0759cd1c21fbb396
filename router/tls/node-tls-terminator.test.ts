import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { until } from '../engine/contract/testing'
import { shakeHands, type TestAuthority, type TestTlsOptions, testAuthority, testTls } from './testing'

const day = 86_400_000
const open: { close(): unknown }[] = []
let authority: TestAuthority
beforeAll(async () => {
  authority = await testAuthority()
})
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

async function listening(options: TestTlsOptions) {
  const lines: string[] = []
  const say = (_fields: object, message: string) => void lines.push(message)
  const made = await testTls({ log: { info: say, warn: say, error: say }, ...options })
  const server = tls.createServer(made.edge.serverOptions(['http/1.1']), (socket) => socket.on('error', () => {}).end())
  made.edge.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(made, server)
  const { port } = server.address() as AddressInfo
  /** When the certificate that a visitor of `name` gets ends. */
  const endOf = async (name: string) => {
    const { socket, notAfter } = await shakeHands(port, name, { rejectUnauthorized: false })
    socket.destroy()
    return notAfter
  }
  return { ...made, port, endOf, lines }
}

const sharedDirectory = () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tls-'))
  open.push({ close: () => rmSync(directory, { recursive: true, force: true }) })
  return directory
}

test('of several for a name the newest is served; an expired one only when there is no other, and then it is said', async () => {
  const old = await authority.issue(['app.test', 'alone.test'], { notAfterMs: -day })
  const older = await authority.issue(['app.test', 'alone.test'], { notAfterMs: -2 * day })
  const good = await authority.issue(['app.test'], { notAfterMs: 10 * day })
  const better = await authority.issue(['app.test'], { notAfterMs: 60 * day })
  const { edge, endOf, lines } = await listening({ certificates: [old, good, better, older] })
  expect(await endOf('app.test')).toBe(better.entry.notAfter)
  await edge.apply([old.entry, good.entry])
  expect(await endOf('app.test')).toBe(good.entry.notAfter)
  expect(lines).toEqual([])
  for (let i = 0; i < 3; i++) expect(await endOf('alone.test')).toBe(old.entry.notAfter)
  expect(lines.filter((line) => line.includes('expired certificate'))).toHaveLength(1)
})

test('a wildcard that is valid is better than an exact one that is not', async () => {
  const exact = await authority.issue(['a.app.test'], { notAfterMs: -day })
  const wild = await authority.issue(['*.app.test'])
  const valid = await authority.issue(['b.app.test'], { notAfterMs: day })
  const { endOf } = await listening({ certificates: [exact, wild, valid] })
  expect(await endOf('a.app.test')).toBe(wild.entry.notAfter)
  expect(await endOf('b.app.test')).toBe(valid.entry.notAfter)
})

test('a certificate expires while it is in memory: the better one takes over without a new table', async () => {
  const ending = await authority.issue(['a.app.test'], { notAfterMs: 2_000 })
  const wild = await authority.issue(['*.app.test'])
  const { endOf } = await listening({ certificates: [ending, wild] })
  expect(await endOf('a.app.test')).toBe(ending.entry.notAfter)
  await until('it expired', () => Date.now() > ending.entry.notAfter)
  expect(await endOf('a.app.test')).toBe(wild.entry.notAfter)
})

test('a renewed certificate whose key is not here yet leaves the old one serving, and is served once it came', async () => {
  const old = await authority.issue(['app.test'], { notAfterMs: 10 * day })
  const renewed = await authority.issue(['app.test'])
  const { edge, endOf, certificates } = await listening({ certificates: [old] })
  await edge.apply([old.entry, renewed.entry])
  expect(await endOf('app.test')).toBe(old.entry.notAfter)
  certificates.push(renewed)
  await until('it came', async () => (await endOf('app.test')) === renewed.entry.notAfter)
})

test('a pair that does not fit together is passed over', async () => {
  const old = await authority.issue(['app.test'], { notAfterMs: 10 * day })
  const broken = { ...(await authority.issue(['app.test'])), keyPem: old.keyPem }
  const { endOf, lines } = await listening({ certificates: [old, broken] })
  expect(await endOf('app.test')).toBe(old.entry.notAfter)
  expect(lines.join()).toMatch(/cannot be used/)
})

test('after a restart keys come from disk: nobody is asked, and without a control plane all is served', async () => {
  const directory = sharedDirectory()
  const certificates = [await authority.issue(['a.test']), await authority.issue(['b.test'])]
  const first = await listening({ directory, certificates })
  expect(first.asked).toHaveLength(2)
  const gone = () => Promise.reject(new Error('no control plane'))
  const second = await listening({ directory, certificates, ask: gone })
  expect(await second.endOf('a.test')).toBe(certificates[0]?.entry.notAfter)
  expect(await second.endOf('b.test')).toBe(certificates[1]?.entry.notAfter)
  expect(second.lines).toEqual([])
})

test('a damaged file is asked for again at the handshake; the others do not notice', async () => {
  const directory = sharedDirectory()
  const certificates = [await authority.issue(['a.test'])]
  await listening({ directory, certificates })
  const [name] = readdirSync(path.join(directory, 'certificates'))
  writeFileSync(path.join(directory, 'certificates', name ?? ''), 'garbage')
  const { endOf, asked } = await listening({ directory, certificates })
  expect(asked).toEqual([])
  expect(await endOf('a.test')).toBe(certificates[0]?.entry.notAfter)
  expect(asked).toEqual([certificates[0]?.id])
})

test('another key than the one that sealed them: everything is asked for again', async () => {
  const directory = sharedDirectory()
  const certificates = [await authority.issue(['a.test'])]
  await listening({ directory, certificates })
  writeFileSync(path.join(directory, 'edge.key'), `${'ab'.repeat(32)}\n`)
  const { endOf } = await listening({ directory, certificates })
  expect(await endOf('a.test')).toBe(certificates[0]?.entry.notAfter)
})

test('a disk that takes nothing: certificates are served from memory', async () => {
  const directory = sharedDirectory()
  writeFileSync(path.join(directory, 'certificates'), 'a file in the way')
  const certificates = [await authority.issue(['a.test'])]
  const { endOf, lines } = await listening({ directory, certificates })
  expect(await endOf('a.test')).toBe(certificates[0]?.entry.notAfter)
  expect(lines.join()).toMatch(/served from memory/)
})

test('ten thousand certificates on disk: a new worker is ready without reading one', async () => {
  const directory = sharedDirectory()
  const one = await authority.issue(['a.test'])
  const entries = Array.from({ length: 10_000 }, (_, i) => ({
    id: `id-${i}`,
    names: [`app-${i}.test`, `*.app-${i}.test`],
    notAfter: Date.now() + day,
  }))
  const { edge } = await testTls({ directory, certificates: [one] })
  const startedAt = performance.now()
  const made = await testTls({ directory, ask: () => new Promise(() => {}) })
  void made.edge.apply([...entries, one.entry])
  expect(performance.now() - startedAt).toBeLessThan(300)
  edge.close()
  await made.close()
})

test('many first handshakes at once ask for the key once', async () => {
  const certificate = await authority.issue(['a.test'])
  let asks = 0
  let answer: (() => void) | undefined
  const { edge, endOf } = await listening({
    ask: () =>
      new Promise((resolve) => {
        asks++
        answer = () => resolve([certificate])
      }),
  })
  const applied = edge.apply([certificate.entry])
  answer?.()
  await applied
  const ends = await Promise.all(Array.from({ length: 20 }, () => endOf('a.test')))
  expect(new Set(ends)).toEqual(new Set([certificate.entry.notAfter]))
  expect(asks).toBe(1)
})

test.each([undefined, null, {}, [null, 1, { id: 'a' }], [{ id: 1, chainPem: '', keyPem: '' }]])(
  'an answer that is none (%j) is taken for nothing',
  async (answer) => {
    const certificate = await authority.issue(['a.test'])
    const { edge, port } = await listening({ ask: async () => answer as never })
    await edge.apply([certificate.entry])
    await expect(shakeHands(port, 'a.test')).rejects.toThrow(/alert/i)
  },
)

test('garbage in place of a chain or key is passed over', async () => {
  const good = await authority.issue(['a.test'], { notAfterMs: day })
  const garbage = ['', 'not PEM', good.keyPem, good.chainPem.slice(0, 200), good.chainPem].map((chainPem, i) => ({
    ...good,
    keyPem: chainPem === good.chainPem ? '' : good.keyPem,
    id: `bad-${i}`,
    chainPem,
    entry: { ...good.entry, id: `bad-${i}`, notAfter: good.entry.notAfter + (i + 1) * day },
  }))
  const { endOf } = await listening({ certificates: [good, ...garbage] })
  expect(await endOf('a.test')).toBe(good.entry.notAfter)
})

test('renegotiation is refused to a client that asks for it (TLS 1.2)', async () => {
  const certificate = await authority.issue(['a.test'])
  const { edge, close } = await testTls({ certificates: [certificate] })
  const server = tls.createServer(edge.serverOptions(['http/1.1']), (socket) => socket.on('error', () => {}).resume())
  edge.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ close }, server)
  const options: tls.ConnectionOptions = { maxVersion: 'TLSv1.2', rejectUnauthorized: false }
  const { socket, protocol } = await shakeHands((server.address() as AddressInfo).port, 'a.test', options)
  expect(protocol).toBe('TLSv1.2')
  const refused = new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve))
  let renegotiated = false
  socket.renegotiate({ rejectUnauthorized: false }, (error) => {
    renegotiated = error === null
  })
  expect((await refused).code).toBe('ERR_SSL_NO_RENEGOTIATION')
  expect(renegotiated).toBe(false)
  socket.destroy()
})
