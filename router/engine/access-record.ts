import type { AccessLine, CacheState } from '@/shared/edge-link'
import type { LiveRoute } from '../match/host-table'
import { type FinishedRequest, portOf } from '../observe/observer'
import type { Front } from './downstream'

/** What the observer and the log are told of a request. */
export abstract class RequestRecord implements FinishedRequest {
  route: LiveRoute | null = null
  instanceId: string | null = null
  status = 0
  durationMs = 0
  upstreamMs: number | null = null
  cache: CacheState = 'none'
  reason: string | null = null
  protected readonly front: Front

  constructor(front: Front) {
    this.front = front
  }

  get bytesIn(): number {
    return this.front.bytesIn
  }

  get bytesOut(): number {
    return this.front.bytesOut
  }

  describe(): Pick<AccessLine, 'requestId' | 'method' | 'host' | 'port' | 'target' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent'> {
    const { facts, protocol } = this.front
    const { requestId, method, host, scheme, clientIp } = facts
    const userAgent = facts.header('user-agent') ?? ''
    const [port, target] = [portOf(facts.authority), `${facts.path}${facts.query}`.slice(0, 2048)]
    return { requestId, method, host, port, target, protocol, scheme, clientIp, userAgent }
  }

  protected forget(route: LiveRoute | null): void {
    this.route = route
    this.instanceId = null
    this.status = 0
    this.upstreamMs = null
    this.cache = 'none'
    this.reason = null
  }

  /** For a line of the log. */
  protected words(): object {
    const { requestId, method, path } = this.front.facts
    return { requestId, method, host: this.route?.host, path: path.slice(0, 512), instanceId: this.instanceId }
  }
}
