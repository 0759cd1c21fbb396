import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EngineLimits } from '../../env'
import type { RouterLog } from '../../log'
import type { HostTable } from '../../match/host-table'
import type { EngineServices } from '../engine'
import type { AccessRecord } from './access-record'
import type { Destination, Upstreams } from './agents'

/** The parts of an engine that requests and upgrades use. */
export interface EngineHost extends EngineServices {
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly upstreams: Upstreams
  /** The current table. */
  readonly table: HostTable
}

/** A request that the engine sends to an instance. */
export interface UpstreamCall {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  onError(error: Error): void
}

/** The parts of an engine that exchanges use. */
export interface ExchangeHost extends EngineHost {
  readonly draining: boolean
  /** Starts an upstream request; its events call `onUpstream`, `onAnswer` and `onError`. */
  forward(call: UpstreamCall, to: Destination): void
}

/** A received request. */
export interface Arrival {
  req: IncomingMessage
  res: ServerResponse
  requestId: string
  record: AccessRecord
  /** The client waits for "100 Continue" before it sends the body. */
  expectsContinue: boolean
}
