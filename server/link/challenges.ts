import type { LinkStates } from '@/shared/link'
import type { LinkMessages } from './link-messages'

type Challenges = LinkStates['challenges']

/** Resolves when no router answers it any more, or at once when that does not matter to the caller. */
export type Withdraw = () => Promise<void>

/**
 * What routers answer to a CA's questions, and to the domain doctor's: one value on the link, put together from everybody who offers
 * something. Whoever offers withdraws.
 */
export interface ChallengeBoard {
  /** `/.well-known/acme-challenge/<token>` on every host. Resolves when every router answers it. @throws ERR_DEADLINE, ERR_UNAVAILABLE */
  offerHttp(token: string, answer: string): Promise<Withdraw>
  /** tls-alpn-01 (RFC 8737) for one hostname. */
  offerAlpn(hostname: string, pair: { certificatePem: string; keyPem: string }): Promise<Withdraw>
  /** Routers answer what is offered now and nothing else: what a process before this one left with them is gone. */
  clean(): Promise<void>
}

const deadlineMs = 5_000

export function createChallengeBoard(talk: Pick<LinkMessages, 'setState'>): ChallengeBoard {
  const http = new Map<string, string>()
  const alpn = new Map<string, Challenges['alpn'][string]>()
  const tell = () => talk.setState('challenges', { http: Object.fromEntries(http), alpn: Object.fromEntries(alpn) }, { deadlineMs })
  async function offer<V>(map: Map<string, V>, key: string, value: V): Promise<Withdraw> {
    map.set(key, value)
    const withdraw = async () => {
      // Somebody may have offered another answer under the same name since.
      if (map.get(key) !== value) return
      map.delete(key)
      await tell().catch(() => {})
    }
    try {
      await tell()
      return withdraw
    } catch (error) {
      await withdraw()
      throw error
    }
  }
  return {
    offerHttp: (token, answer) => offer(http, token, answer),
    offerAlpn: (hostname, pair) => offer(alpn, hostname, pair),
    clean: () => tell().catch(() => {}),
  }
}
