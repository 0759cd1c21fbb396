import type { RoutingProblem } from '@/shared/routing-problems'

/** Where a problem comes from: what a person set, files of a deployment, the bounds on a table, or a row nobody can make sense of. */
export type ProblemOrigin = 'settings' | 'files' | 'budget' | 'record'

export interface FoundProblem {
  teamId: string
  projectId: string
  /** Whose files or host it concerns; null: not one deployment's. */
  deploymentId: string | null
  origin: ProblemOrigin
  effect: RoutingProblem['effect']
  message: string
  nextAction: string
  host: string | null
}

/** As much as a page can show. */
const maxProblems = 20
const maxHosts = 5
const maxHostLength = 260
const maxTextLength = 600

/** What was found wrong while a table was made. */
export class FoundProblems {
  readonly #all: FoundProblem[] = []

  add(problem: FoundProblem): void {
    this.#all.push(problem)
  }

  /** Why a deployment would be closed, by its own rules or for want of room; undefined: it would not. */
  closing(deploymentId: string): FoundProblem | undefined {
    return this.#all.find(
      (one) => one.effect === 'closed' && one.deploymentId === deploymentId && (one.origin === 'files' || one.origin === 'budget'),
    )
  }

  /** What says that a host is closed for want of room; null: it is not. */
  noRoom(host: string): string | null {
    return this.#all.find((one) => one.host === host && one.effect === 'closed' && one.origin === 'budget')?.message ?? null
  }

  /** As a project shows them: each once, with the first few addresses. */
  byProject(): Map<string, { teamId: string; problems: RoutingProblem[] }> {
    return new Map(
      [...Map.groupBy(this.#all, (one) => one.projectId)].map(([projectId, found]) => [
        projectId,
        { teamId: found[0]?.teamId ?? '', problems: present(found) },
      ]),
    )
  }
}

function present(found: readonly FoundProblem[]): RoutingProblem[] {
  const shown = new Map<string, RoutingProblem>()
  for (const { effect, message, nextAction, host } of found) {
    const key = `${effect} ${message}`
    const known = shown.get(key) ?? { effect, message: cut(message), nextAction: cut(nextAction), hosts: [] }
    const named = host?.slice(0, maxHostLength)
    if (named !== undefined && known.hosts.length < maxHosts && !known.hosts.includes(named)) known.hosts.push(named)
    shown.set(key, known)
  }
  // What closes it is what its people must see.
  return [...shown.values()].sort((a, b) => Number(b.effect === 'closed') - Number(a.effect === 'closed')).slice(0, maxProblems)
}

const cut = (text: string): string => (text.length > maxTextLength ? `${text.slice(0, maxTextLength - 1)}…` : text).toWellFormed()
