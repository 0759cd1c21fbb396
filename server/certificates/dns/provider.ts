/** A DNS host that can show a TXT record for a moment. One contract for all: `contract.ts`. */
export interface DnsProvider {
  /**
   * Adds one TXT value; other values of the same name stay, and a value that is there already is not an error.
   * @param name full name without trailing dot
   * @throws DnsProviderError
   */
  present(name: string, value: string, signal: AbortSignal): Promise<void>
  /** Takes that one value away; that it is gone already is not an error. @throws DnsProviderError */
  cleanup(name: string, value: string, signal: AbortSignal): Promise<void>
}

/** What the DNS host said. Never carries a credential. */
export class DnsProviderError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DnsProviderError'
  }
}

/** Seconds a challenge's record may be cached: as short as the hosts allow. */
export const challengeTtl = 60

/** The name itself, then its parents, down to two labels: one of them is the zone. */
export function zoneCandidates(name: string): string[] {
  const labels = name.split('.')
  return labels.slice(0, -1).map((_, i) => labels.slice(i).join('.'))
}

const deadlineMs = 20_000

/** One request to a host's API, with a deadline. @throws DnsProviderError when nobody answers */
export async function request(
  host: string,
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string; signal: AbortSignal },
): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.any([init.signal, AbortSignal.timeout(deadlineMs)]) })
    return { status: response.status, text: await response.text() }
  } catch (cause) {
    init.signal.throwIfAborted()
    throw new DnsProviderError(`${host} does not answer`, cause)
  }
}

/** A body that may not be JSON at all. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
