/**
 * Divides what there is fairly (max-min): nobody gets more than they ask for, and what they leave is for those who ask for more. Whoever
 * asks for less than an equal part always gets it whole, however much others ask for.
 */
export function fairShares<K>(total: number, asked: ReadonlyMap<K, number>): Map<K, number> {
  const shares = new Map<K, number>()
  let left = Math.max(0, total)
  let sharers = asked.size
  for (const [key, amount] of [...asked].sort((a, b) => a[1] - b[1])) {
    const share = Math.min(amount, left / sharers)
    shares.set(key, share)
    left -= share
    sharers -= 1
  }
  return shares
}

/** Something in a table that somebody is answerable for. */
export interface Charge {
  teamId: string
  projectId: string
  size: number
}

/**
 * Which of `charges` fit into `total`: shared fairly between teams, a team's share fairly between its projects, and of a project the first
 * ones first, so that they are given in order of importance. The same ones for the same table, whatever was published before.
 */
export function fitting<C extends Charge>(charges: readonly C[], total: number): Set<C> {
  if (sum(charges) <= total) return new Set(charges)
  const fit = new Set<C>()
  for (const [teamCharges, share] of divided(charges, total, (charge) => charge.teamId))
    for (const [own, part] of divided(teamCharges, share, (charge) => charge.projectId)) {
      let left = part
      for (const charge of own) {
        if (charge.size > left) continue
        left -= charge.size
        fit.add(charge)
      }
    }
  return fit
}

function* divided<C extends Charge>(charges: readonly C[], total: number, by: (charge: C) => string): IterableIterator<[C[], number]> {
  const groups = Map.groupBy(charges, by)
  const shares = fairShares(total, new Map([...groups].map(([key, own]) => [key, sum(own)])))
  for (const [key, own] of groups) yield [own, shares.get(key) ?? 0]
}

const sum = (charges: readonly Charge[]): number => charges.reduce((total, { size }) => total + size, 0)
