import { setTimeout as wait } from 'node:timers/promises'
import type { Database } from '@/server/database/client'
import { createCertificateStage } from './certificates'
import { startDarkProxy } from './dark-proxy'
import { startPebble } from './pebble'

export interface StormOptions {
  names: number
  /** Ends when so many renewals have succeeded, first certificates not counted. */
  renewals: number
  validitySeconds: number
  badNonces: number
  /** Mean lengths of one spell, in seconds; each is drawn from half to one and a half of it. */
  darkSeconds: number
  openSeconds: number
  deadlineMs: number
  concurrency?: number
  onProgress?: (line: string) => void
}

export interface StormResult {
  issued: number
  renewed: number
  /** Share of the time, from the first renewal on, in which the CA could not be reached. */
  darkShare: number
  spells: number
  /** Renewals that arrived after the certificate before had expired. */
  expired: number
  /** What was left of the lifetime, in seconds, in the closest case. */
  closestSeconds: number
  asks: number
  /** Asks that reached the CA, or may have, and brought nothing. */
  vainAsks: number
  /** Tries that met a closed door before anything was sent. */
  unasked: number
  /** Most asks in vain of one name within any hour. */
  maxFailedPerName: number
  /** Order requests the CA itself counted, refused nonces included. */
  ordersAtTheCa: number
  seconds: number
}

/**
 * Many names with lifetimes of seconds, renewed in real time by the product's own scheduler while the CA refuses nonces and goes dark
 * again and again, half of the times by refusing connections, half by hanging.
 */
export async function runRenewalStorm(database: Pick<Database, 'prisma' | 'pool'>, options: StormOptions): Promise<StormResult> {
  const stage = await createCertificateStage(database)
  const { httpPort, tlsPort } = stage.responder
  const pebble = await startPebble({ httpPort, tlsPort, validitySeconds: options.validitySeconds, badNonces: options.badNonces })
  const proxy = await startDarkProxy(pebble.port)
  const over = new AbortController()
  const started = Date.now()
  const seen = watchChanges()
  try {
    for (let i = 0; i < options.names; i++) await stage.addDomain(`n${i}.storm.test`)
    await stage.start({
      // By the name that pebble's certificate is for; only the port is the proxy's.
      production: [{ directory: `https://localhost:${proxy.port}/dir`, binding: null }],
      caFile: pebble.caFile,
      concurrency: options.concurrency ?? 16,
      floorMs: 1_000,
      changed: async (row, supplied) => {
        if (supplied) await seen.issued(database, row.id)
      },
    })
    // What is measured are renewals: everybody has a certificate when the weather turns.
    while (seen.count() < options.names && Date.now() - started < options.deadlineMs) await wait(200)
    options.onProgress?.(`${Math.round((Date.now() - started) / 1000)} s: all ${seen.count()} first certificates are there`)
    const stormy = Date.now()
    const weather = runWeather(proxy, options, over.signal)
    while (seen.renewed() < options.renewals && Date.now() - started < options.deadlineMs) {
      await wait(1_000)
      if (options.onProgress && Math.round((Date.now() - started) / 1000) % 15 === 0)
        options.onProgress(`${Math.round((Date.now() - started) / 1000)} s: ${seen.count()} issued, ${seen.renewed()} renewals`)
    }
    over.abort()
    const { darkMs, spells } = await weather
    const expiredNow = await database.prisma.certificate.count({ where: { notAfter: { lt: new Date() } } })
    return {
      ...(await countTries(database)),
      issued: seen.count(),
      renewed: seen.renewed(),
      expired: seen.expired() + expiredNow,
      closestSeconds: seen.closestSeconds(),
      darkShare: darkMs / (Date.now() - stormy),
      spells,
      ordersAtTheCa: pebble.ordersAsked(),
      seconds: (Date.now() - started) / 1000,
    }
  } finally {
    over.abort()
    await stage.close()
    await proxy.close()
    await pebble.stop()
  }
}

/** Each certificate as it arrives, against the end of the one before. */
function watchChanges() {
  const until = new Map<string, number>()
  let issued = 0
  let expired = 0
  let closest = Number.POSITIVE_INFINITY
  return {
    async issued(database: Pick<Database, 'prisma'>, id: string) {
      const at = Date.now()
      const row = await database.prisma.certificate.findUniqueOrThrow({ where: { id } })
      const before = until.get(id)
      issued++
      if (before !== undefined) {
        closest = Math.min(closest, before - at)
        if (before <= at) expired++
      }
      until.set(id, row.notAfter?.getTime() ?? 0)
    },
    count: () => issued,
    renewed: () => issued - until.size,
    expired: () => expired,
    closestSeconds: () => closest / 1000,
  }
}

async function runWeather(
  proxy: { set(mode: 'open' | 'refuse' | 'hang'): Promise<void> },
  options: Pick<StormOptions, 'darkSeconds' | 'openSeconds'>,
  signal: AbortSignal,
): Promise<{ darkMs: number; spells: number }> {
  let darkMs = 0
  let spells = 0
  const spell = async (seconds: number) => {
    const began = Date.now()
    await wait(seconds * 1000, undefined, { signal }).catch(() => {})
    return Date.now() - began
  }
  while (!signal.aborted) {
    // One draw for both, so that the shares are kept whatever is drawn.
    const length = 0.5 + Math.random()
    await spell(options.openSeconds * length)
    if (signal.aborted) break
    await proxy.set(spells++ % 2 === 0 ? 'refuse' : 'hang')
    darkMs += await spell(options.darkSeconds * length)
    await proxy.set('open')
  }
  return { darkMs, spells }
}

async function countTries({ prisma }: Pick<Database, 'prisma'>) {
  const tries = await prisma.certificateTry.findMany({ orderBy: { startedAt: 'asc' } })
  const vain = tries.filter((one) => one.succeeded === false)
  const perName = Map.groupBy(vain, (one) => one.name)
  const most = [...perName.values()].map((own) =>
    Math.max(
      ...own.map(
        (first) => own.filter(({ startedAt }) => startedAt >= first.startedAt && startedAt.getTime() < first.startedAt.getTime() + 3_600_000).length,
      ),
    ),
  )
  return {
    asks: tries.length,
    vainAsks: vain.length,
    unasked: tries.filter((one) => one.succeeded === null && one.endedAt !== null).length,
    maxFailedPerName: Math.max(0, ...most),
  }
}
