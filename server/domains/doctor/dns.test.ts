import { createSocket, type Socket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDomainName } from '../hostname'
import { openDns } from './dns'
import { gatherFacts } from './facts'

let silent: Socket
let server: string
beforeAll(async () => {
  silent = createSocket('udp4')
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
  server = `127.0.0.1:${(silent.address() as AddressInfo).port}`
})
afterAll(() => silent.close())

describe('name servers of a stranger', () => {
  test('that let every question run out do not hold an examination longer than it may last, whatever the name', async () => {
    const began = Date.now()
    const name = parseDomainName(`${'a.'.repeat(100)}example.com`)
    const subject = { name, projectHost: 'p.example.net', token: 't', rival: 'none', certificateMode: 'automatic', hasDnsProvider: false } as const
    const facts = await gatherFacts(subject, {
      dns: openDns({ servers: [server], deadlineMs: 1_000, sessionMs: 2_000, authorityPort: Number(server.split(':')[1]) }),
      own: { addresses: [], origin: 'configured', local: [] },
      issuers: [],
      board: null,
      ports: { http: 80, https: null },
    })
    expect(Date.now() - began).toBeLessThan(4_000)
    expect([facts.zone.kind, facts.a.kind, facts.caa?.outcome.kind]).toEqual(['timeout', 'timeout', 'timeout'])
  })
})
