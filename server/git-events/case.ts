import type { GitDecision } from '@/shared/git-events'
import type { GitDelivery, Prisma, Project } from '../database/generated/client'
import type { ScopedClient } from '../database/scope'
import type { GitEvent } from './event'
import type { GitEventDeps } from './ports'

/** A delivery of a subject with its event. */
export interface Row<E extends GitEvent = GitEvent> {
  delivery: GitDelivery
  event: E
}

export interface Verdict {
  decision: GitDecision
  reason: string
  deploymentIds?: string[]
  outcomes?: Prisma.InputJsonArray
  head?: string | null
}

/** What is decided about a subject's deliveries, by their ids; or how many milliseconds later it can be. */
export type Verdicts = Map<string, Verdict> | { laterMs: number }

/** What is at hand while the events of a project are decided. */
export interface Case {
  deps: GitEventDeps
  db: ScopedClient
  project: Project
  signal: AbortSignal
}

/** Milliseconds since the newest delivery. */
export const ageMs = (rows: readonly Row[]): number => Date.now() - Math.max(...rows.map(({ delivery }) => delivery.receivedAt.getTime()))

/** Milliseconds since the oldest delivery. */
export const waitedMs = (rows: readonly Row[]): number => Date.now() - Math.min(...rows.map(({ delivery }) => delivery.receivedAt.getTime()))

/** The same verdict for all rows. */
export const allOf = (rows: readonly Row[], verdict: Verdict): Map<string, Verdict> => new Map(rows.map(({ delivery }) => [delivery.id, verdict]))
