import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { Prisma, PrismaClient } from './generated/client'

export type { Prisma, PrismaClient }

export interface Database {
  prisma: PrismaClient
  /** For what Prisma has no words for: SKIP LOCKED, advisory locks. LISTEN needs a client of its own. */
  pool: pg.Pool
  close(): Promise<void>
}

/**
 * Opens the pool every query goes through. Nothing is connected yet.
 * Without `query_timeout` a frozen server would never be noticed: node-pg waits forever.
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
  // An idle connection that breaks is replaced by the pool; unheard, the event would end the process.
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
