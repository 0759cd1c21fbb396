import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EngineLimits } from '../../env'
import type { RouterLog } from '../../log'
import type { HostTable } from '../../match/host-table'
import type { EngineServices } from '../engine'
import type { AccessRecord } from './access-record'
import type { Destination, Upstreams } from './agents'

/** What requests and upgrades see of the engine that carries them. */
export interface EngineHost extends EngineServices {
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly upstreams: Upstreams
  /** The newest. */
  readonly table: HostTable
}

/** A request that the engine sends to an instance. */
export interface UpstreamCall {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  onError(error: Error): void
}

/** What an exchange needs of its engine. */
export interface ExchangeHost extends EngineHost {
  readonly draining: boolean
  /** Starts an upstream request; its events come back by `onUpstream`, `onAnswer` and `onError`. */
  forward(call: UpstreamCall, to: Destination): void
}

/** What arrived. */
export interface Arrival {
  req: IncomingMessage
  res: ServerResponse
  requestId: string
  record: AccessRecord
  /** Asked by the client to wait for "100 Continue" before its body. */
  expectsContinue: boolean
}
