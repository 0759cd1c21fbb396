import type { RoutingProblem } from '@/shared/routing-problems'

/** Cause of a problem: dashboard settings, files of a deployment, the size limits of a table, or an invalid database row. */
export type ProblemOrigin = 'settings' | 'files' | 'budget' | 'record'

export interface FoundProblem {
  teamId: string
  projectId: string
  /** The deployment whose files or host have the problem; null: the whole project. */
  deploymentId: string | null
  origin: ProblemOrigin
  effect: RoutingProblem['effect']
  message: string
  nextAction: string
  host: string | null
}

/** Limits of what the dashboard shows. */
const maxProblems = 20
const maxHosts = 5
const maxHostLength = 260
const maxTextLength = 600

/** Problems found while a route table was computed. */
export class FoundProblems {
  readonly #all: FoundProblem[] = []

  add(problem: FoundProblem): void {
    this.#all.push(problem)
  }

  /** Why a deployment would be closed by its own rules or by the size limits; undefined: it would not be closed. */
  closing(deploymentId: string): FoundProblem | undefined {
    return this.#all.find(
      (one) => one.effect === 'closed' && one.deploymentId === deploymentId && (one.origin === 'files' || one.origin === 'budget'),
    )
  }

  /** Why a host is closed by the size limits; null: it is not closed by them. */
  noRoom(host: string): string | null {
    return this.#all.find((one) => one.host === host && one.effect === 'closed' && one.origin === 'budget')?.message ?? null
  }

  /** Problems by project id, without duplicates, each with its first hosts. */
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
  // Problems that close the project come first.
  return [...shown.values()].sort((a, b) => Number(b.effect === 'closed') - Number(a.effect === 'closed')).slice(0, maxProblems)
}

const cut = (text: string): string => (text.length > maxTextLength ? `${text.slice(0, maxTextLength - 1)}…` : text).toWellFormed()
