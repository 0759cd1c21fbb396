import { expect, test } from 'vitest'
import { openTestDatabase } from '@/test/support/factory'
import { runRenewalStorm } from '@/test/support/renewal-storm'

test('40 renewals with 15 % bad nonces and the CA dark most of the time: none expires, none is asked for more than 5 times an hour in vain', async () => {
  const db = await openTestDatabase()
  const result = await runRenewalStorm(db, {
    names: 20,
    renewals: 40,
    validitySeconds: 36,
    badNonces: 15,
    darkSeconds: 3,
    openSeconds: 2,
    deadlineMs: 110_000,
    concurrency: 8,
  }).finally(() => db.close())
  expect(result).toMatchObject({ expired: 0 })
  expect(result.renewed).toBeGreaterThanOrEqual(40)
  expect(result.maxFailedPerName).toBeLessThanOrEqual(5)
}, 150_000)
