import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, it } from 'vitest'
import { createTestCa } from '@/test/support/test-ca'
import { createAcmeTransport } from '../../certificates/acme'
import { createIssuers } from './issuers'

it('a CA says in its directory how CAA records call it, and is asked once', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'sy-issuers-'))
  const ca = await createTestCa('Directory front')
  const leaf = await ca.leaf(['localhost'])
  const caFile = path.join(home, 'ca.pem')
  await writeFile(caFile, ca.rootPem)
  let asked = 0
  const server = createServer({ cert: leaf.certificatePem + ca.intermediatePem, key: leaf.keyPem }, (_, response) => {
    asked++
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ newNonce: 'x', meta: { caaIdentities: ['Private-CA.example'] } }))
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const transport = await createAcmeTransport({ caFile })
  try {
    const issuers = createIssuers([`https://localhost:${(server.address() as AddressInfo).port}/dir`], transport.get)
    expect(await Promise.all([issuers.names(), issuers.names()])).toEqual([['private-ca.example'], ['private-ca.example']])
    expect(asked).toBe(1)
  } finally {
    transport.close()
    server.close()
    await rm(home, { recursive: true, force: true })
  }
})

it('while a CA is silent the names of well-known ones hold; one that says nothing is unknown', async () => {
  const silent = createIssuers(['https://acme-v02.api.letsencrypt.org/directory', 'https://ca.example/dir'], () => Promise.reject(new Error('down')))
  expect(await silent.names()).toEqual(['letsencrypt.org'])
  const mute = createIssuers(['https://ca.example/dir'], async () => ({ data: { newNonce: 'x' } }))
  expect(await mute.names()).toEqual([])
})
