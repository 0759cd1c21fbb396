import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { CertificateScheduler } from '@/server/certificates/scheduler'
import { type CertificateStage, createCertificateStage, type StageOptions } from './certificates'
import { openTestDatabase } from './factory'
import { type Pebble, type PebbleOptions, startPebble } from './pebble'
import { until } from './processes'

type TestDatabase = Awaited<ReturnType<typeof openTestDatabase>>

/** A stage with a CA, and what tests ask of its database. */
export interface CertificateWorld {
  readonly db: TestDatabase
  readonly stage: CertificateStage
  readonly pebble: Pebble
  /** Another CA that looks at the same responder. */
  startCa(options?: Partial<PebbleOptions>): Promise<Pebble>
  /** Closes it after the test. */
  keep<T extends { close(): Promise<void> }>(opened: T): T
  /** For a scheduler that asks the one CA. */
  ca(): Pick<StageOptions, 'production' | 'caFile' | 'dnsServers'>
  certificateOf(domainId: string): ReturnType<TestDatabase['prisma']['certificate']['findFirst']>
  /** Waits until the domain's certificate is in this state. */
  reached(domainId: string, state: string): Promise<unknown>
  /** As if its pause were over. */
  again(scheduler: CertificateScheduler, domainId: string): Promise<void>
  /** What was asked, the oldest first. */
  tries(): ReturnType<TestDatabase['prisma']['certificateTry']['findMany']>
}

/** A world of its own for each test of the file that calls this, on one database that is emptied in between. */
export function certificateWorld(options: Partial<PebbleOptions> = {}): CertificateWorld {
  let db: TestDatabase
  let stage: CertificateStage
  let pebble: Pebble
  const opened: { close(): Promise<void> }[] = []
  const certificateOf = (domainId: string) => db.prisma.certificate.findFirst({ where: { domainId } })
  const startCa = async (more: Partial<PebbleOptions> = {}) => {
    const { httpPort, tlsPort } = stage.responder
    const made = await startPebble({ httpPort, tlsPort, ...more })
    opened.push({ close: () => made.stop() })
    return made
  }
  beforeAll(async () => {
    db = await openTestDatabase()
  })
  afterAll(() => db.close())
  beforeEach(async () => {
    await db.pool.query('TRUNCATE "Team", "CertificateTry", "AcmeAccount" CASCADE')
    stage = await createCertificateStage(db)
    pebble = await startCa(options)
  })
  afterEach(async () => {
    await stage.close()
    for (const one of opened.splice(0)) await one.close()
  })
  return {
    get db() {
      return db
    },
    get stage() {
      return stage
    },
    get pebble() {
      return pebble
    },
    startCa,
    keep(one) {
      opened.push(one)
      return one
    },
    ca: () => ({ production: [{ directory: pebble.directory, binding: null }], caFile: pebble.caFile, dnsServers: [pebble.dnsServer] }),
    certificateOf,
    reached: (domainId, state) => until(`the certificate is ${state}`, 60_000, async () => (await certificateOf(domainId))?.state === state),
    async again(scheduler, domainId) {
      await db.prisma.certificate.updateMany({ where: { domainId }, data: { nextAttemptAt: new Date() } })
      scheduler.wake()
    },
    tries: () => db.prisma.certificateTry.findMany({ orderBy: { id: 'asc' } }),
  }
}
