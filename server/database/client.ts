import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { Prisma, PrismaClient } from './generated/client'

export type { Prisma, PrismaClient }

export interface Database {
  prisma: PrismaClient
  /** For SQL that Prisma does not support: SKIP LOCKED, advisory locks. LISTEN needs a dedicated client. */
  pool: pg.Pool
  close(): Promise<void>
}

/**
 * Creates the connection pool for all queries; connections open on first use.
 * `query_timeout` is needed because node-pg otherwise waits forever for a frozen server.
 */
export function openDatabase(url: string, options: { poolSize: number; onError?: (error: Error) => void }): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.poolSize,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    query_timeout: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  })
  // The pool replaces a broken idle connection; without a listener the `error` event would end the process.
  pool.on('error', (error) => options.onError?.(error))
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool), transactionOptions: { maxWait: 10_000, timeout: 20_000 } })
  return {
    prisma,
    pool,
    async close() {
      await prisma.$disconnect()
      await pool.end()
    },
  }
}

/** True when `error` is Postgres' unique violation as Prisma reports it. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002'
}
