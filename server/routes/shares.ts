/** An entry of a table, with the team and project that own it. */
export interface Charge {
  teamId: string
  projectId: string
  size: number
}

/**
 * The `charges` that fit into `total`: the smallest teams first, then the smallest projects of a team, then in the given order (most important
 * first). A team that needs no more than an equal share of `total` gets everything, whatever others ask for.
 */
export function fitting<C extends Charge>(charges: readonly C[], total: number): Set<C> {
  const teams = sizesBy(charges, ({ teamId }) => teamId)
  const all = [...teams.values()].reduce((sum, size) => sum + size, 0)
  if (all <= total) return new Set(charges)
  const projects = sizesBy(charges, ({ projectId }) => projectId)
  const difference = (sizes: ReadonlyMap<string, number>, a: string, b: string): number => (sizes.get(a) ?? 0) - (sizes.get(b) ?? 0)
  const ordered = charges.toSorted((a, b) => difference(teams, a.teamId, b.teamId) || difference(projects, a.projectId, b.projectId))
  let left = total
  return new Set(
    ordered.filter(({ size }) => {
      if (size > left) return false
      left -= size
      return true
    }),
  )
}

function sizesBy(charges: readonly Charge[], idOf: (charge: Charge) => string): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const charge of charges) sizes.set(idOf(charge), (sizes.get(idOf(charge)) ?? 0) + charge.size)
  return sizes
}
