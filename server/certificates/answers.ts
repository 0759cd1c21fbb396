import * as acme from 'acme-client'
import type { Domain, PrismaClient } from '@/server/database/generated/client'
import type { WireError } from '@/shared/errors'
import type { ChallengeBoard } from '../link/challenges'
import type { Secrets } from '../secrets/secrets'
import { newKeyPem } from './accounts'
import { recordNameFor, waitUntilVisible } from './dns/propagation'
import type { DnsProvider } from './dns/provider'
import type { ChallengeAnswer, ChallengeMethod, Offer } from './order'
import { ChallengeError } from './problems'

/** Publishes ACME challenge responses, on the routers or in DNS. */
export interface Answers {
  /** Why responses of this kind cannot be published now; checked before the CA is asked. */
  obstacle(method: ChallengeMethod): WireError | null
  /** Publishes a response; resolves when the CA can see it. @throws ChallengeError before any request to the CA */
  offer(domain: Domain, answer: ChallengeAnswer, signal: AbortSignal): Promise<Offer>
  /** Removes a response, also one left by an earlier process. Never throws. */
  takeBack(domain: Domain, answer: ChallengeAnswer): Promise<void>
}

const noRouter: WireError = {
  code: 'ERR_UNAVAILABLE',
  message: 'No router is connected, so nobody would answer the certificate authority.',
  step: 'challenge',
  nextAction: 'Check that the router workers are running.',
}
const cleanupDeadlineMs = 30_000
/** Limit for DNS hosts that accept a record but do not publish it. */
const presetPresentDeadlineMs = 120_000
/** The CA validates a challenge within this time. */
const lingerMs = 120_000

/** RFC 8555 §8.4. */
const challengeName = ({ hostname }: ChallengeAnswer): string => `_acme-challenge.${hostname}`

export function createAnswers(deps: {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  board: ChallengeBoard
  /** Number of listening routers: without one, no challenge response is served. */
  routers: () => number
  openProvider: (kind: string, credentials: string) => DnsProvider
  dnsServers: readonly string[]
  propagationDeadlineMs?: number
  presentDeadlineMs?: number
}): Answers {
  async function byRouters(answer: ChallengeAnswer): Promise<() => Promise<void>> {
    try {
      if (answer.method === 'http-01') return await deps.board.offerHttp(answer.token, answer.value)
      const authorization = { identifier: { type: 'dns', value: answer.hostname } } as acme.Authorization
      const [key, certificate] = await acme.crypto.createAlpnCertificate(authorization, answer.value, newKeyPem())
      return await deps.board.offerAlpn(answer.hostname, { certificatePem: certificate.toString(), keyPem: key.toString() })
    } catch (cause) {
      throw new ChallengeError(`Not every router took the answer to the CA: ${cause instanceof Error ? cause.message : cause}`, { cause })
    }
  }

  async function providerOf(domain: Domain): Promise<DnsProvider> {
    const row = domain.dnsProviderId ? await deps.prisma.dnsProvider.findFirst({ where: { id: domain.dnsProviderId, teamId: domain.teamId } }) : null
    if (!row)
      throw new ChallengeError('A wildcard certificate needs a DNS provider, and the domain has none.', {
        nextAction: 'Add a DNS provider to the team and choose it for the domain, or upload a certificate.',
      })
    return deps.openProvider(row.kind, await deps.secrets.open(row.teamId, row.credentials))
  }

  async function byDns(domain: Domain, answer: ChallengeAnswer, signal: AbortSignal): Promise<() => Promise<void>> {
    const provider = await providerOf(domain)
    const name = await recordNameFor(challengeName(answer), deps.dnsServers)
    const withdraw = () => provider.cleanup(name, answer.value, AbortSignal.timeout(cleanupDeadlineMs)).catch(() => {})
    try {
      const deadline = AbortSignal.timeout(deps.presentDeadlineMs ?? presetPresentDeadlineMs)
      await provider.present(name, answer.value, AbortSignal.any([signal, deadline]))
      await waitUntilVisible(name, answer.value, { servers: deps.dnsServers, deadlineMs: deps.propagationDeadlineMs ?? 120_000, signal })
      return withdraw
    } catch (cause) {
      await withdraw()
      signal.throwIfAborted()
      if (cause instanceof ChallengeError) throw cause
      throw new ChallengeError(`The DNS host did not take the record ${name}: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
        nextAction: 'Check the credentials of the DNS provider, and that they may change this zone.',
      })
    }
  }

  async function takeBackByDns(domain: Domain, answer: ChallengeAnswer): Promise<void> {
    const provider = await providerOf(domain)
    const name = await recordNameFor(challengeName(answer), deps.dnsServers)
    await provider.cleanup(name, answer.value, AbortSignal.timeout(cleanupDeadlineMs))
  }
  const lingering = new Map<string, { withdraw: () => Promise<void>; timer: NodeJS.Timeout }>()
  const keyOf = ({ method, hostname, token }: ChallengeAnswer) => `${method} ${hostname} ${token}`
  const offered = (key: string, withdraw: () => Promise<void>): Offer => ({
    withdraw,
    linger() {
      const timer = setTimeout(() => {
        lingering.delete(key)
        void withdraw()
      }, lingerMs)
      lingering.set(key, { withdraw, timer: timer.unref() })
    },
  })
  return {
    obstacle: (method) => (method === 'dns-01' || deps.routers() > 0 ? null : noRouter),
    async offer(domain, answer, signal) {
      const key = keyOf(answer)
      const kept = lingering.get(key)
      if (!kept) return offered(key, await (answer.method === 'dns-01' ? byDns(domain, answer, signal) : byRouters(answer)))
      clearTimeout(kept.timer)
      lingering.delete(key)
      return offered(key, kept.withdraw)
    },
    async takeBack(domain, answer) {
      const key = keyOf(answer)
      const kept = lingering.get(key)
      clearTimeout(kept?.timer)
      lingering.delete(key)
      if (kept) return kept.withdraw()
      if (answer.method === 'dns-01') await takeBackByDns(domain, answer).catch(() => {})
    },
  }
}
