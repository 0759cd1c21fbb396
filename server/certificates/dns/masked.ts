import type { DnsCredentials } from '@/shared/dns-providers'
import { createMask } from '@/shared/node/mask'
import { type DnsProvider, DnsProviderError } from './provider'

/** A provider that masks its credentials in errors: hosts and libraries repeat request data. */
export function masked(provider: DnsProvider, given: DnsCredentials): DnsProvider {
  const mask = createMask(secretsOf(given))
  // Providers shorten long texts: a credential may be cut at the end.
  const hide = (text: string) => mask.pieces()(text, true)
  const run = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      throw error instanceof DnsProviderError ? maskedError(error, hide) : error
    }
  }
  return {
    present: (name, value, signal) => run(provider.present(name, value, signal)),
    cleanup: (name, value, signal) => run(provider.cleanup(name, value, signal)),
  }
}

function maskedError(error: DnsProviderError, hide: (text: string) => string): DnsProviderError {
  const causes: string[] = []
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) causes.push(String(cause))
  return new DnsProviderError(hide(error.message), causes.length === 0 ? undefined : new Error(hide(causes.join(': '))))
}

/** Everything in the credentials that opens something, by the name that the mask shows. */
function secretsOf(given: DnsCredentials): Record<string, string> {
  switch (given.kind) {
    case 'cloudflare':
    case 'digitalocean':
      return { apiToken: given.apiToken }
    case 'route53':
      return { secretAccessKey: given.secretAccessKey, accessKeyId: given.accessKeyId }
    case 'rfc2136':
      return { keySecret: given.keySecret }
    case 'webhook':
      return { secret: given.secret, ...secretsOfUrl(new URL(given.url)) }
  }
}

/** A shorter segment of a path is a word, as in `/hooks/dns`. */
const minPathTokenLength = 16

/** Webhook URLs carry tokens as a password, in the path and in the query. */
function secretsOfUrl({ username, password, pathname, search, searchParams }: URL): Record<string, string> {
  const inPath = pathname.split('/').filter((segment) => segment.length >= minPathTokenLength)
  const parts = [username, password, search.slice(1), ...inPath, ...searchParams.values()]
  return Object.fromEntries(parts.map((part, i) => [`url_part_${i + 1}`, decoded(part)]))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
