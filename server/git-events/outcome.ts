import { z } from 'zod'
import type { GitDecision } from '@/shared/git-events'

/** What was decided for one environment. */
export const outcome = z.object({
  environmentId: z.string(),
  decision: z.enum(['queued', 'waiting', 'ignored', 'done', 'failed']),
  /** `already`, `outside` and `queued` leave the environment with all changes up to the commit, or with none that concern it. */
  code: z.enum(['queued', 'already', 'outside', 'skip', 'paused', 'fork', 'failed']),
  reason: z.string(),
  deploymentId: z.string().nullable(),
})
export type Outcome = z.infer<typeof outcome>

const weight: Readonly<Record<Outcome['decision'], number>> = { queued: 4, waiting: 3, failed: 2, done: 1, ignored: 0 }

/** One decision for all environments of a branch: the weightiest comes first, the others are named after it. */
export function combine(outcomes: readonly Outcome[]): { decision: GitDecision; reason: string } {
  const [first, ...others] = [...outcomes].sort((a, b) => weight[b.decision] - weight[a.decision])
  if (!first) return { decision: 'ignored', reason: '' }
  const rest = others.map(({ decision, reason }) => (decision === first.decision ? reason : `${decision}: ${reason}`))
  return { decision: first.decision, reason: [first.reason, ...rest].join('; ') }
}

export const readOutcomes = (stored: unknown): Outcome[] => z.array(outcome).catch([]).parse(stored)
