import { readOutputRules, warningText } from '@/builder/rules'
import type { Artifact, Prisma } from '@/server/database/generated/client'
import { AppError, isAppError } from '@/shared/errors'
import { findExcess } from '@/shared/rules/weight'
import type { DeployRun } from '../deployments/deploy-run'
import { type PartialRules, readStored } from './stored'

/**
 * Adds the rules that a build wrote into its output to the rules of the source, without duplicates.
 * @throws ERR_DETECT when the rules exceed a limit, alone or together
 */
export async function adoptOutputRules(run: DeployRun, artifact: Artifact, directory: string): Promise<void> {
  const { policy, warnings } = await readOutputRules(directory).catch(ofThisStep)
  const before = readStored(artifact.edgePolicy)
  // The cutover refuses a release whose rules are invalid.
  if (before.invalid !== null) return
  const { merged, added } = addMissing(before.policy, policy)
  if (added === 0) return
  const excess = findExcess(merged)
  if (excess !== null)
    throw new AppError('ERR_DETECT', `The rules in the files of the source and of the build are too many together: ${excess}.`, {
      step,
      nextAction: 'Join rules by patterns, or leave some out, then deploy again.',
    })
  for (const warning of warnings) run.log.write({ step, stream: 'system', text: warningText(warning) })
  run.log.write({ step, stream: 'system', text: `${added} ${added === 1 ? 'rule' : 'rules'} from files that the build made.` })
  await run.record.fenced((tx) =>
    tx.artifact.update({
      where: { id: artifact.id },
      data: { edgePolicy: merged as unknown as Prisma.InputJsonObject },
    }),
  )
}

const step = 'start'

function ofThisStep(error: unknown): never {
  throw isAppError(error) ? new AppError(error.code, error.message, { ...error.details, step, cause: error }) : error
}

/** Appends the rules of `more` that `before` does not contain. */
export function addMissing(before: PartialRules, more: PartialRules): { merged: PartialRules; added: number } {
  const merged: PartialRules = { ...before }
  let added = 0
  const fresh = <R>(known: readonly R[] = [], given: readonly R[] = []): R[] => {
    const texts = new Set(known.map((rule) => JSON.stringify(sorted(rule))))
    return given.filter((rule) => !texts.has(JSON.stringify(sorted(rule))))
  }
  for (const kind of ['redirects', 'rewrites', 'headers'] as const) {
    const rules = fresh<unknown>(before[kind], more[kind])
    if (rules.length === 0) continue
    Object.assign(merged, { [kind]: [...(before[kind] ?? []), ...rules] })
    added += rules.length
  }
  for (const [status, path] of Object.entries(more.errorPages ?? {})) {
    if (merged.errorPages?.[status] !== undefined) continue
    merged.errorPages = { ...merged.errorPages, [status]: path }
    added += 1
  }
  return { merged, added }
}

// Sorts object keys, because Postgres JSONB changes their order.
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  )
}
