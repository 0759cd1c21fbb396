import { beforeAll, describe, expect, test } from 'vitest'
import { createTestCa } from '@/test/support/test-ca'
import { AcmeProblem, AuthoritySilent } from './problems'
import { pollRenewalInfo, type RenewalInfoDeps } from './renewal-info'

const hour = 3_600_000
const day = 24 * hour
const now = Date.parse('2026-11-21T12:00:00Z')
const past = { suggestedWindow: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' } }
let known: string
let unnamed: string
beforeAll(async () => {
  const ca = await createTestCa()
  known = (await ca.leaf(['a.example.test'], { keyIdentifier: '69885b6b87464041e1b37b847bd0ae2cde01c8d4' })).certificatePem
  unnamed = (await ca.leaf(['b.example.test'])).certificatePem
})

interface Written {
  renewalInfo: { nextPollAt: number }
  nextAttemptAt?: Date
}

/** Polls certificates of these chains at one CA; `answer` speaks for it. @returns what was written, by id */
async function poll(
  chains: Record<string, string>,
  answer: (url: string) => unknown,
  options: { askedAt?: number; directories?: string[]; look?: (directory: string) => void } = {},
) {
  const written: Record<string, Written> = {}
  const rows = Object.entries(chains).map(([id, chainPem]) => ({
    id,
    chainPem,
    names: ['a.example.test'],
    notBefore: new Date(now - day),
    notAfter: new Date(now + 89 * day),
    serial: id,
    renewalInfo: null,
  }))
  const deps = {
    pool: { query: async () => ({ rows }) },
    prisma: {
      certificate: {
        findMany: async () => rows,
        updateMany: async ({ where, data }: { where: { id: string }; data: Written }) => {
          written[where.id] = data
        },
      },
      certificateTry: { findMany: async () => (options.askedAt === undefined ? [] : [{ startedAt: new Date(options.askedAt) }]) },
    },
    transport: {
      directory: async (directory: string) => {
        options.look?.(directory)
        return { newOrder: '', renewalInfo: `${directory}/ari` }
      },
      get: async (url: string) => ({ data: answer(url), retryAfterMs: null }),
    },
    now: () => now,
    random: () => 0.5,
  } as unknown as RenewalInfoDeps
  const failure = await pollRenewalInfo(deps, options.directories ?? ['https://ca.example'], AbortSignal.timeout(5_000)).catch((error) => error)
  return { written, failure }
}

describe('renewal information of many certificates', () => {
  test('one that the CA does not know, or that has no name there, keeps no other from being asked about, and has its next time', async () => {
    let asked = 0
    const { written } = await poll({ gone: known, nameless: unnamed, good: known }, () => {
      if (asked++ === 0) throw new AcmeProblem({ status: 404, detail: 'not found' })
      return past
    })
    expect(written.gone).toEqual({ renewalInfo: { nextPollAt: now + 6 * hour } })
    expect(written.nameless).toEqual({ renewalInfo: { nextPollAt: now + day } })
    expect(written.good?.renewalInfo).toMatchObject({ selectedAt: now })
  })

  test('nonsense has its next time too', async () => {
    const { written } = await poll({ good: known }, () => ({ suggestedWindow: 'soon' }))
    expect(written.good).toEqual({ renewalInfo: { nextPollAt: now + 6 * hour } })
  })

  test('of a second CA is asked for when the first is dark', async () => {
    const { written, failure } = await poll({ good: known }, () => past, {
      directories: ['https://dark.example', 'https://ca.example'],
      look: (directory) => {
        if (directory.includes('dark')) throw new AuthoritySilent(new Error('refused'), false)
      },
    })
    expect(failure).toBeInstanceOf(AuthoritySilent)
    expect(Object.keys(written)).toEqual(['good'])
  })

  test('a CA whose windows are always over gets one renewal a day, whatever our clock says', async () => {
    const first = await poll({ good: known }, () => past)
    expect(first.written.good?.nextAttemptAt?.getTime()).toBe(now)
    const again = await poll({ good: known }, () => past, { askedAt: now - 60_000 })
    expect(again.written.good?.nextAttemptAt?.getTime()).toBe(now - 60_000 + day)
  })
})
