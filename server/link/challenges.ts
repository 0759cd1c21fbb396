import type { LinkStates } from '@/shared/link'
import type { LinkMessages } from './link-messages'

type Challenges = LinkStates['challenges']

/** Removes an offered challenge response; resolves when no router serves it. */
export type Withdraw = () => Promise<void>

/**
 * Challenge responses that routers serve to a CA and to the domain doctor: one state on the link, combined from all offers. Every caller
 * that offers a response must withdraw it.
 */
export interface ChallengeBoard {
  /** `/.well-known/acme-challenge/<token>` on every host. Resolves when every router serves it. @throws ERR_DEADLINE, ERR_UNAVAILABLE */
  offerHttp(token: string, answer: string): Promise<Withdraw>
  /** tls-alpn-01 (RFC 8737) for one hostname. */
  offerAlpn(hostname: string, pair: { certificatePem: string; keyPem: string }): Promise<Withdraw>
  /** Sends the current offers to the routers, which removes the responses of an earlier process. */
  clean(): Promise<void>
}

const deadlineMs = 5_000

export function createChallengeBoard(link: Pick<LinkMessages, 'setState'>): ChallengeBoard {
  const http = new Map<string, string>()
  const alpn = new Map<string, Challenges['alpn'][string]>()
  const send = () => link.setState('challenges', { http: Object.fromEntries(http), alpn: Object.fromEntries(alpn) }, { deadlineMs })
  async function offer<V>(map: Map<string, V>, key: string, value: V): Promise<Withdraw> {
    map.set(key, value)
    const withdraw = async () => {
      // Keep a newer response that was offered under the same key.
      if (map.get(key) !== value) return
      map.delete(key)
      await send().catch(() => {})
    }
    try {
      await send()
      return withdraw
    } catch (error) {
      await withdraw()
      throw error
    }
  }
  return {
    offerHttp: (token, answer) => offer(http, token, answer),
    offerAlpn: (hostname, pair) => offer(alpn, hostname, pair),
    clean: () => send().catch(() => {}),
  }
}
