import type { Target } from '@/shared/route-table'
import type { HostTable } from '../../match/host-table'

/** Key of an instance's endpoint. The address comes first because it contains no space. */
export const targetKey = ({ instanceId, host, port }: Target): string => `${host} ${port} ${instanceId}`

const instanceIn = (key: string) => key.slice(key.indexOf(' ', key.indexOf(' ') + 1) + 1)

/** Routes processed per step. */
const routesAtOnce = 16

/** Finds the keys in `known` that no route of the table contains, step by step (see `inSlices`), because the table may be large. */
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
