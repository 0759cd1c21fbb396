import type { Target } from '@/shared/route-table'
import type { HostTable, LiveRoute } from '../../match/host-table'
import { sentNothing, type UpstreamFault } from '../http-proxy/upstreams'

/**
 * Where a second attempt goes: the route of the newest table, for an instance that refuses may be gone since its successor took over.
 * null: nowhere. The host is another project's by now, whose doors this request has not passed; or there was no connection, and there
 * is no instance but the one that failed.
 */
export function routeOfRetry(table: HostTable, before: LiveRoute, failed: Target, fault: UpstreamFault): LiveRoute | null {
  const newest = table.find(before.host)
  if (newest === undefined || newest.projectId !== before.projectId) return null
  if (sentNothing(fault) && newest.targets.every(({ instanceId }) => instanceId === failed.instanceId)) return null
  return newest
}
