import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Route } from '@/shared/route-table'
import { createTestCa, type TestCa } from '@/test/support/test-ca'
import { createOwnHosts, entryOf, withOwnHttps } from './own-hosts'

let ca: TestCa
let directory: string
let files: { certFile: string; keyFile: string }
let said: string[]
beforeAll(async () => {
  ca = await createTestCa()
})
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sy-own-'))
  files = { certFile: path.join(directory, 'chain.pem'), keyFile: path.join(directory, 'key.pem') }
  said = []
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const open = () =>
  createOwnHosts({ files, baseDomain: 'apps.test', logger: { info: () => {}, error: (_fields: object, message: string) => said.push(message) } })

async function store(names: string[], days = 30) {
  const { certificatePem, keyPem } = await ca.leaf(names, { notAfter: new Date(Date.now() + days * 86_400_000) })
  await writeFile(files.certFile, `${certificatePem}\n${ca.intermediatePem}`)
  await writeFile(files.keyFile, keyPem)
}

test('without files there is none, and nothing is said', async () => {
  const none = createOwnHosts({ files: null, baseDomain: 'apps.test', logger: { info: () => {}, error: () => said.push('') } })
  expect(await none.read()).toBeNull()
  expect(said).toEqual([])
})

test('a certificate is for the names at and below the base domain, whatever else it names', async () => {
  await store(['*.apps.test', 'apps.test', 'shop.example.com', '*.test'])
  const pair = await open().read()
  expect(pair?.names).toEqual(['*.apps.test', 'apps.test'])
  expect(entryOf(pair as NonNullable<typeof pair>)).toEqual({ id: pair?.id, names: pair?.names, notAfter: pair?.notAfter })
})

test.each([
  ['one for other names', ['apps.test', '*.example.com'], 30],
  ['one that has expired', ['*.apps.test'], -1],
])('%s is not taken, and it is said once what is served instead', async (_what, names, days) => {
  await store(names, days)
  const own = open()
  expect(await own.read()).toBeNull()
  expect(await own.read()).toBeNull()
  expect(said).toEqual([expect.stringContaining('served over HTTP alone')])
  expect(own.last).toEqual({ pair: null, problem: expect.stringMatching(/expired|ended|names|\*\.apps\.test/) })
})

test('files that are renewed are taken up; halfway through, and when they are gone, the pair before stays', async () => {
  await store(['*.apps.test'])
  const own = open()
  const first = await own.read()
  const { certificatePem, keyPem } = await ca.leaf(['*.apps.test'])
  await writeFile(files.certFile, certificatePem)
  expect(await own.read()).toEqual(first)
  expect(said).toEqual([expect.stringContaining('the one before stays in use')])
  await writeFile(files.keyFile, keyPem)
  const second = await own.read()
  expect(second?.id).not.toBe(first?.id)
  await rm(files.keyFile)
  expect(await own.read()).toEqual(second)
})

test('hosts that the certificate is for are for HTTPS, while it is valid', async () => {
  await store(['*.apps.test'])
  const pair = await open().read()
  const route = (host: string) => ({ host }) as Route
  const flags = (now?: number) =>
    withOwnHttps(['a.apps.test', 'b.a.apps.test', 'shop.test'].map(route), pair, now).map((one) => one.httpsOnly ?? false)
  expect(flags()).toEqual([true, false, false])
  expect(flags(Date.now() + 31 * 86_400_000)).toEqual([false, false, false])
  expect(withOwnHttps([route('a.apps.test')], null)).toEqual([route('a.apps.test')])
})
