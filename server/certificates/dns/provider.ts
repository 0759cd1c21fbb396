/** A DNS host that can publish a TXT record temporarily. Shared contract tests: `contract.ts`. */
export interface DnsProvider {
  /**
   * Adds a TXT value and keeps other values of the same name. An existing value is not an error.
   * @param name full name without trailing dot
   * @throws DnsProviderError
   */
  present(name: string, value: string, signal: AbortSignal): Promise<void>
  /** Removes one TXT value; a missing value is not an error. @throws DnsProviderError */
  cleanup(name: string, value: string, signal: AbortSignal): Promise<void>
}

/** An error of the DNS host. Never contains a credential. */
export class DnsProviderError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DnsProviderError'
  }
}

/** TTL in seconds of challenge records: as short as the DNS hosts allow. */
export const challengeTtl = 60

/** The name and its parents down to two labels: candidates for the zone. */
export function zoneCandidates(name: string): string[] {
  const labels = name.split('.')
  return labels.slice(0, -1).map((_, i) => labels.slice(i).join('.'))
}

const deadlineMs = 20_000

/** Sends a request to a DNS host's API, with a deadline. @throws DnsProviderError when no response arrives */
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

/** Parses a body that may not be JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
