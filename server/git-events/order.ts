/** Hosts deliver in any order, late and repeatedly. What pushes say of each other tells the head of a branch, or that it has to be asked for. */

interface Step {
  before: string | null
  after: string | null
}

/** The pushes that follow each other from `start`, each once. null: they fork or go round. */
export function pathFrom<S extends Step>(start: string | null, steps: readonly S[]): S[] | null {
  const next = new Map<string | null, S>()
  for (const step of steps) {
    const other = next.get(step.before)
    if (other && other.after !== step.after) return null
    next.set(step.before, other ?? step)
  }
  const path: S[] = []
  const visited = new Set([start])
  for (let step = next.get(start); step; step = next.get(step.after)) {
    if (visited.has(step.after)) return null
    visited.add(step.after)
    path.push(step)
  }
  return path
}

/**
 * The head after these pushes, when they form one chain that begins at the head known before. undefined: the order is not clear.
 * A head of null says that the branch was deleted.
 */
export function headAfter(known: string | null, steps: readonly Step[]): string | null | undefined {
  if (known === null) return undefined
  const path = pathFrom(known, steps)
  const distinct = new Set(steps.map(({ before, after }) => `${before} ${after}`))
  return path && path.length > 0 && path.length === distinct.size ? path.at(-1)?.after : undefined
}
