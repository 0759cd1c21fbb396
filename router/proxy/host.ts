import type { EngineLimits } from '../env'
import type { HostTable } from '../match/host-table'
import type { EngineLog, EngineServices } from './engine'
import type { Upstreams } from './upstreams'

/** What requests and upgrades see of the engine that carries them. */
export interface EngineHost extends EngineServices {
  readonly limits: EngineLimits
  readonly log: EngineLog
  readonly upstreams: Upstreams
  /** The newest. */
  readonly table: HostTable
}
