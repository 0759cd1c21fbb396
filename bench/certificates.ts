// 1,000 renewals in real time: short lifetimes, 15 % bad nonces, the CA dark for 60 % of the time. `npx tsx bench/certificates.ts [renewals] [names] [validity s]`
import { openDatabase } from '@/server/database/client'
import { migrate } from '@/server/database/migrate'
import { startThrowawayPostgres } from '@/test/support/postgres'
import { runRenewalStorm } from '@/test/support/renewal-storm'

const [renewals = 1000, names = 250, validitySeconds = 300] = process.argv.slice(2).map(Number)

const postgres = await startThrowawayPostgres()
const database = openDatabase(postgres.url, { poolSize: 20 })
try {
  await migrate(postgres.url)
  console.log(`${renewals} renewals of ${names} names, lifetime ${validitySeconds} s, 15 % bad nonces, the CA dark for 60 % of the time`)
  const result = await runRenewalStorm(database, {
    names,
    renewals,
    validitySeconds,
    badNonces: 15,
    // A little more than promised, for the last spell may be cut short.
    darkSeconds: 12.5,
    openSeconds: 8,
    deadlineMs: 30 * 60_000,
    onProgress: (line) => console.log(line),
  })
  console.table(result)
  const good = result.renewed >= renewals && result.expired === 0 && result.maxFailedPerName <= 5
  console.log(good ? 'No certificate expired, no name was asked more than 5 times an hour in vain.' : 'FAILED')
  process.exitCode = good ? 0 : 1
} finally {
  await database.close()
  await postgres.stop()
}
