import type { Target } from '@/shared/route-table'
import type { HostTable } from '../match/host-table'

/** Names an endpoint of an instance. */
export const targetKey = (target: Target): string => `${target.instanceId} ${target.host} ${target.port}`

/** Routes that are looked at in one step. */
const routesAtOnce = 16

/**
 * Which of `known` (keys of targets) no route names any more, step by step (see `inSlices`): what is known is little, and the table may
 * be large.
 */
export function* goneTargets(table: HostTable, known: Iterable<string>): Generator<void, Set<string>> {
  const gone = new Set(known)
  let looked = 0
  for (const route of table.routes()) {
    if (gone.size === 0) break
    for (const target of route.targets) gone.delete(targetKey(target))
    if (++looked % routesAtOnce === 0) yield
  }
  return gone
}
