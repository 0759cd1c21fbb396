import type { RequestFacts } from '../gate/gate'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { EntryStore } from './store'

/** Whose answer it is: a new deployment never serves what an old one said. */
const ownerOf = (route: LiveRoute) => `${route.projectId} ${route.deploymentId} `

/**
 * What an answer is stored under. Project and deployment first: by them entries are let go of. The host with the port the visitor wrote:
 * apps make addresses from it, and nobody's odd port may get into the answers of others. `target`: path and query after rewrites; null: as
 * they came.
 */
export const uriOf = (route: LiveRoute, target: string | null, facts: RequestFacts): string =>
  `${ownerOf(route)}${facts.scheme}://${facts.authority}${target ?? facts.target}`

/** The owner's part of what `uriOf` gave. */
const ownerIn = (uri: string) => uri.slice(0, uri.indexOf(' ', uri.indexOf(' ') + 1) + 1)

/** Lets go of what only deployments without a route could use, step by step (see `inSlices`). */
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
