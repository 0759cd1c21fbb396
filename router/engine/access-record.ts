import type { AccessLine, CacheState } from '@/shared/link'
import type { LiveRoute } from '../match/host-table'
import { type FinishedRequest, portOf } from '../observe/observer'
import type { Downstream } from './downstream'

/** The access record of one request, for the observer and the log. One object serves the requests of a connection or stream in turn. */
export class AccessRecord implements FinishedRequest {
  route: LiveRoute | null = null
  instanceId: string | null = null
  status = 0
  durationMs = 0
  upstreamMs: number | null = null
  cache: CacheState = 'none'
  reason: string | null = null
  readonly #downstream: Downstream

  constructor(downstream: Downstream) {
    this.#downstream = downstream
  }

  get bytesIn(): number {
    return this.#downstream.bytesIn
  }

  get bytesOut(): number {
    return this.#downstream.bytesOut
  }

  describe(): Pick<AccessLine, 'requestId' | 'method' | 'host' | 'port' | 'target' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent'> {
    const { facts, protocol } = this.#downstream
    const { requestId, method, host, scheme, clientIp } = facts
    const userAgent = facts.header('user-agent') ?? ''
    const [port, target] = [portOf(facts.authority), `${facts.path}${facts.query}`.slice(0, 2048)]
    return { requestId, method, host, port, target, protocol, scheme, clientIp, userAgent }
  }

  /** Starts the record of the next request. */
  begin(route: LiveRoute | null): void {
    this.route = route
    this.instanceId = null
    this.status = 0
    this.upstreamMs = null
    this.cache = 'none'
    this.reason = null
  }

  /** The fields of a log line about this request. */
  logFields(): object {
    const { requestId, method, path } = this.#downstream.facts
    return { requestId, method, host: this.route?.host, path: path.slice(0, 512), instanceId: this.instanceId }
  }
}
