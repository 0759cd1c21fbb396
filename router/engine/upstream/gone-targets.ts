import type { Target } from '@/shared/route-table'
import type { HostTable } from '../../match/host-table'

/** Names an endpoint of an instance. The address first: there is no blank in it. */
export const targetKey = ({ instanceId, host, port }: Target): string => `${host} ${port} ${instanceId}`

const instanceIn = (key: string) => key.slice(key.indexOf(' ', key.indexOf(' ') + 1) + 1)

/** Routes that are looked at in one step. */
const routesAtOnce = 16

/**
 * Which of `known` (keys of targets) no route names any more, step by step (see `inSlices`): what is known is little, and the table may
 * be large.
 */
export function* goneTargets(table: HostTable, known: Iterable<string>): Generator<void, Set<string>> {
  const gone = new Set(known)
  // Most targets of a table have no connections: no key is built for them.
  const instances = new Set<string>()
  for (const key of gone) instances.add(instanceIn(key))
  let looked = 0
  for (const route of table.routes()) {
    if (gone.size === 0) break
    for (const target of route.targets) if (instances.has(target.instanceId)) gone.delete(targetKey(target))
    if (++looked % routesAtOnce === 0) yield
  }
  return gone
}
