import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Domain } from '@/server/database/generated/client'
import { createAnswers } from './answers'
import type { DnsProvider } from './dns/provider'
import { ChallengeError } from './problems'

test('a DNS host that works on a record without end is given up, and the record taken back', async () => {
  const cleaned: string[] = []
  const provider: DnsProvider = {
    present: async (_name, _value, signal) => wait(60_000, undefined, { signal }),
    cleanup: async (name) => void cleaned.push(name),
  }
  const answers = createAnswers({
    prisma: { dnsProvider: { findFirst: async () => ({ teamId: 't', kind: 'webhook', credentials: new Uint8Array() }) } },
    secrets: { open: async () => '{}' },
    board: {},
    routers: () => 1,
    openProvider: () => provider,
    dnsServers: ['127.0.0.1:1'],
    presentDeadlineMs: 100,
  } as unknown as Parameters<typeof createAnswers>[0])
  const answer = { method: 'dns-01', hostname: 'example.test', token: 't', value: 'v' } as const
  const offer = answers.offer({ dnsProviderId: 'p', teamId: 't' } as Domain, answer, AbortSignal.timeout(20_000))
  await expect(offer).rejects.toBeInstanceOf(ChallengeError)
  expect(cleaned).toEqual(['_acme-challenge.example.test'])
})
