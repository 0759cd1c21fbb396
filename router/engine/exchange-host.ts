import type { EngineLimits } from '../env'
import type { Gate } from '../gate/gate'
import type { RouterLog } from '../log'
import type { HostTable } from '../match/host-table'
import type { Observer } from '../observe/observer'
import type { Targets } from '../targets/targets'
import type { Tunnels } from './tunnels'
import type { Pools } from './upstream/pool'

/** What every exchange of an engine shares. */
export interface ExchangeHost {
  readonly gate: Gate
  readonly targets: Targets
  readonly observer: Observer
  readonly pools: Pools
  readonly tunnels: Tunnels
  readonly limits: EngineLimits
  readonly log: RouterLog
  readonly table: HostTable
  readonly draining: boolean
}
