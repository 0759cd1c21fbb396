import { z } from 'zod'

/** The part of an ACME directory that lists the CA's names in CAA records (RFC 8555 §7.1.1). */
const directoryMeta = z.object({ meta: z.object({ caaIdentities: z.array(z.string().toLowerCase()).max(20) }) })

const renewAfterMs = 24 * 3600 * 1000
const retryAfterMs = 10 * 60 * 1000
const deadlineMs = 5_000

/** Names of well-known CAs, used until their directory has answered. */
const known: Readonly<Record<string, readonly string[]>> = {
  'acme-v02.api.letsencrypt.org': ['letsencrypt.org'],
  'acme-staging-v02.api.letsencrypt.org': ['letsencrypt.org'],
  'acme.zerossl.com': ['sectigo.com'],
  'dv.acme-v02.api.pki.goog': ['pki.goog'],
  'api.buypass.com': ['buypass.com'],
  'acme.ssl.com': ['ssl.com'],
}
const knownOf = (directory: string): readonly string[] => known[URL.parse(directory)?.hostname ?? ''] ?? []

export interface Issuers {
  /** CA domains for CAA records, in order of preference; empty: unknown. Never throws; waits a few seconds at most. */
  names(): Promise<string[]>
}

/** GET of JSON with the transport of certificate orders. */
export type GetJson = (url: string, signal: AbortSignal) => Promise<{ data: unknown }>

/** Loads the names from the CAs' directories once a day. */
export function createIssuers(directories: readonly string[], get: GetJson): Issuers {
  const learned = new Map<string, { names: readonly string[]; until: number; asking: Promise<void> | null }>()
  const ask = async (directory: string): Promise<readonly string[]> =>
    directoryMeta.parse((await get(directory, AbortSignal.timeout(deadlineMs))).data).meta.caaIdentities
  const namesOf = async (directory: string): Promise<readonly string[]> => {
    const entry = learned.get(directory) ?? { names: knownOf(directory), until: 0, asking: null }
    learned.set(directory, entry)
    if (entry.until <= Date.now())
      entry.asking ??= ask(directory)
        .then((names) => Object.assign(entry, { names, until: Date.now() + renewAfterMs }))
        // The CA is unavailable or lists no names: keep the previous names.
        .catch(() => Object.assign(entry, { until: Date.now() + retryAfterMs }))
        .then(() => {
          entry.asking = null
        })
    await entry.asking
    return entry.names
  }
  return { names: async () => [...new Set((await Promise.all(directories.map(namesOf))).flat())] }
}
