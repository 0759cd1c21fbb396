import { readOutputRules, warningText } from '@/builder/edge-rules'
import type { Artifact, Prisma } from '@/server/database/generated/client'
import type { DeployRun } from '../deployments/run'
import { type PartialPolicy, readStored } from './merge'

/**
 * Rules that the build wrote among its public files join those that stood in the source. A copy of a file of the source says nothing new.
 */
export async function adoptOutputRules(run: DeployRun, artifact: Artifact, directory: string): Promise<void> {
  const { policy, warnings } = await readOutputRules(directory)
  const { merged, added } = addMissing(readStored(artifact.edgePolicy), policy)
  if (added === 0) return
  for (const warning of warnings) run.log.write({ step: 'start', stream: 'system', text: warningText(warning) })
  run.log.write({ step: 'start', stream: 'system', text: `${added} ${added === 1 ? 'rule' : 'rules'} from files that the build made.` })
  await run.record.fenced((tx) =>
    tx.artifact.update({ where: { id: artifact.id }, data: { edgePolicy: merged as unknown as Prisma.InputJsonObject } }),
  )
}

/** What `before` does not say yet, behind what it says. */
export function addMissing(before: PartialPolicy, more: PartialPolicy): { merged: PartialPolicy; added: number } {
  const merged: PartialPolicy = { ...before }
  let added = 0
  const fresh = <R>(known: readonly R[] = [], given: readonly R[] = []): R[] => {
    const texts = new Set(known.map((rule) => JSON.stringify(sorted(rule))))
    return given.filter((rule) => !texts.has(JSON.stringify(sorted(rule))))
  }
  for (const kind of ['redirects', 'rewrites', 'headers'] as const) {
    const rules = fresh<unknown>(before[kind], more[kind])
    if (rules.length === 0) continue
    Object.assign(merged, { [kind]: [...(before[kind] ?? []), ...rules].slice(0, 1024) })
    added += rules.length
  }
  for (const [status, path] of Object.entries(more.errorPages ?? {})) {
    if (merged.errorPages?.[status] !== undefined) continue
    merged.errorPages = { ...merged.errorPages, [status]: path }
    added += 1
  }
  return { merged, added }
}

// The database gives fields back in an order of its own.
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
