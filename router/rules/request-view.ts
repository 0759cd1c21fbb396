import type { ConditionFacts } from '@/shared/rules/conditions'
import { decodeQuery } from '@/shared/rules/destination'
import { StepBudget } from '@/shared/rules/linear'
import { decodePath } from '@/shared/rules/template'
import { isUntrusted } from '../engine/headers/untrusted-names'
import type { RequestFacts } from '../gate/gate'

/** Maximum matching steps of all rules together per request: about 10 ms. */
const stepsPerRequest = 1_000_000

/** A request as rules see it; each part is computed at first use. */
export class RequestView implements ConditionFacts {
  readonly facts: RequestFacts
  readonly budget = new StepBudget(stepsPerRequest)
  #path: string | undefined
  #cookies: Map<string, string> | undefined
  #query: Map<string, string> | undefined

  constructor(facts: RequestFacts) {
    this.facts = facts
  }

  /** Decoded, see `decodePath`. */
  get path(): string {
    this.#path ??= decodePath(this.facts.path)
    return this.#path
  }

  get host(): string {
    return this.facts.host
  }

  /** A header as the instance will receive it: fields reserved to the router have the router's value, not the client's. */
  header(name: string): string | undefined {
    return isUntrusted(name) ? this.#ours(name) : this.facts.header(name)
  }

  #ours(name: string): string | undefined {
    const { clientIp, forwardedFor, scheme, requestId } = this.facts
    switch (name) {
      case 'x-forwarded-for':
        return forwardedFor
      case 'x-real-ip':
        return clientIp
      case 'x-forwarded-proto':
        return scheme
      case 'x-forwarded-host':
        return this.facts.header('host')
      case 'x-request-id':
        return requestId
      default:
        return undefined
    }
  }

  cookie(name: string): string | undefined {
    this.#cookies ??= readCookies(this.facts.header('cookie') ?? '')
    return this.#cookies.get(name)
  }

  queryValue(name: string): string | undefined {
    this.#query ??= readQuery(this.facts.query)
    return this.#query.get(name)
  }
}

// Use the first of several cookies with the same name: it is the most specific (RFC 6265 §5.4), and servers use it too.
function readCookies(header: string): Map<string, string> {
  const cookies = new Map<string, string>()
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1) continue
    const name = pair.slice(0, equals).trim()
    if (!cookies.has(name)) cookies.set(name, unquoted(pair.slice(equals + 1).trim()))
  }
  return cookies
}

const unquoted = (value: string): string => (value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value)

function readQuery(query: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const pair of query.slice(1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    values.set(decodeQuery(name), decodeQuery(value))
  }
  return values
}
