import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import type { CertificateEntry, Route } from '@/shared/route-table'
import { covers } from '../domains/covers'
import { isWithin } from '../domains/hostname'
import { checkPair, pairId } from './pem'

/** Files of the operator's certificate for hosts below the base domain; null: these hosts use HTTP only. */
export type OwnHostsFiles = { certFile: string; keyFile: string } | null

const file = z.string().startsWith('/', 'must be an absolute path').optional()

/** The environment variables of these files. */
export const ownHostsVariables = { BASE_DOMAIN_CERT_FILE: file, BASE_DOMAIN_KEY_FILE: file }
type Variables = z.output<z.ZodObject<typeof ownHostsVariables>>

export function checkOwnHostsVariables(value: Variables, context: z.RefinementCtx): void {
  if (Boolean(value.BASE_DOMAIN_CERT_FILE) !== Boolean(value.BASE_DOMAIN_KEY_FILE))
    context.addIssue({ code: 'custom', path: ['BASE_DOMAIN_CERT_FILE'], message: 'and BASE_DOMAIN_KEY_FILE belong together: set both or none' })
}

export function ownHostsFiles({ BASE_DOMAIN_CERT_FILE: certFile, BASE_DOMAIN_KEY_FILE: keyFile }: Variables): OwnHostsFiles {
  return certFile && keyFile ? { certFile, keyFile } : null
}

export interface OwnHostsPair {
  /** The id by which routers request the certificate. */
  id: string
  /** The base domain and names below it. */
  names: string[]
  notAfter: number
  chainPem: string
  keyPem: string
}

export interface OwnHosts {
  /** The current certificate; reads the files again when they have changed, because external renewal tools send no notification. Never throws. */
  read(): Promise<OwnHostsPair | null>
  /** The last result of `read`, and why the current files cannot be used; null: usable, or not configured. */
  readonly last: { pair: OwnHostsPair | null; problem: string | null }
}

type Say = (fields: object, message: string) => void
export interface OwnHostsLog {
  info: Say
  error: Say
}

const maxFileBytes = 1024 * 1024

/** The certificate must contain `*.baseDomain`. If a new pair is unusable, the previous one stays in use and the problem is logged once. */
export function createOwnHosts(options: { files: OwnHostsFiles; baseDomain: string; logger: OwnHostsLog }): OwnHosts {
  const { files, baseDomain, logger } = options
  if (files === null) return { read: async () => null, last: { pair: null, problem: null } }
  let pair: OwnHostsPair | null = null
  let problem: string | null = null
  let seen = ''
  let reading: Promise<OwnHostsPair | null> | null = null
  async function look({ certFile, keyFile }: NonNullable<OwnHostsFiles>): Promise<OwnHostsPair | null> {
    const state = await stateOf({ certFile, keyFile })
    if (state === seen) return pair
    seen = state
    try {
      pair = await load({ certFile, keyFile }, baseDomain)
      problem = null
      logger.info({ names: pair.names, notAfter: new Date(pair.notAfter) }, 'hosts below BASE_DOMAIN have this certificate')
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
      const otherwise = pair ? 'the one before stays in use' : 'they are served over HTTP alone'
      logger.error({ err: error, certFile, keyFile }, `the certificate of hosts below BASE_DOMAIN cannot be used; ${otherwise}`)
    }
    return pair
  }
  return {
    get last() {
      return { pair, problem }
    },
    read() {
      reading ??= look(files).finally(() => {
        reading = null
      })
      return reading
    },
  }
}

/** Fingerprint that changes with either file. */
async function stateOf({ certFile, keyFile }: NonNullable<OwnHostsFiles>): Promise<string> {
  const one = (name: string) => stat(name).then(({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`, String)
  return `${await one(certFile)} ${await one(keyFile)}`
}

async function load({ certFile, keyFile }: NonNullable<OwnHostsFiles>, baseDomain: string): Promise<OwnHostsPair> {
  const [chain, key] = [await text(certFile), await text(keyFile)]
  const { chainPem, keyPem, facts } = checkPair({ chainPem: chain, keyPem: key, hostname: `*.${baseDomain}`, now: Date.now() })
  const names = facts.names.filter((name) => isWithin(name.replace(/^\*\./, ''), baseDomain))
  return { id: pairId('own-hosts', facts.serial), names, notAfter: facts.notAfter, chainPem, keyPem }
}

async function text(name: string): Promise<string> {
  const { size } = await stat(name)
  if (size > maxFileBytes) throw new Error(`${name} has ${size} bytes: no certificate has`)
  return readFile(name, 'utf8')
}

export const entryOf = ({ id, names, notAfter }: OwnHostsPair): CertificateEntry => ({ id, names, notAfter })

/** Marks the platform's own hosts as HTTPS if a valid certificate exists for them. */
export function withOwnHttps<R extends Route>(routes: readonly R[], pair: OwnHostsPair | null, now = Date.now()): R[] {
  if (pair === null || pair.notAfter <= now) return [...routes]
  const names = new Set(pair.names)
  return routes.map((route) => (covers(names, route.host) ? { ...route, httpsOnly: true } : route))
}
