import type { RequestFacts } from '../gate/gate'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { EntryStore } from './store'

/** Key prefix of a project and deployment: a new deployment never serves answers of an old one. */
const ownerOf = (route: LiveRoute) => `${route.projectId} ${route.deploymentId} `

/**
 * Cache key of an answer. Project and deployment come first, because entries are removed by them. The host includes the port that the
 * visitor sent: apps build links from it, and an unusual port must not appear in answers for other visitors. `target`: path and query after
 * rewrites; null: not rewritten.
 */
export const uriOf = (route: LiveRoute, target: string | null, facts: RequestFacts): string =>
  `${ownerOf(route)}${facts.scheme}://${facts.authority}${target ?? facts.target}`

/** The project and deployment prefix of a key made by `uriOf`. */
const ownerIn = (uri: string) => uri.slice(0, uri.indexOf(' ', uri.indexOf(' ') + 1) + 1)

/** Removes answers of deployments that no route uses any more, one step per iteration (see `inSlices`). */
export function* forgetGone(table: HostTable, store: EntryStore): Generator<void, void> {
  const gone = new Set<string>()
  const projects = new Set<string>()
  for (const { origin } of store.entries()) {
    gone.add(ownerIn(origin.uri))
    projects.add(origin.projectId)
    yield
  }
  for (const route of table.routes()) {
    if (gone.size === 0) return
    if (projects.has(route.projectId)) gone.delete(ownerOf(route))
    yield
  }
  for (const entry of store.entries()) {
    if (gone.has(ownerIn(entry.origin.uri))) store.remove(entry)
    yield
  }
}
