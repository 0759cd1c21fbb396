/**
 * Max-min fair division of `total`: no key gets more than it asked for, and unused shares go to the keys that asked for more. A request for
 * less than an equal share is always granted completely.
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

/** An entry of a table, with the team and project that own it. */
export interface Charge {
  teamId: string
  projectId: string
  size: number
}

/**
 * The `charges` that fit into `total`: divided fairly between teams, then between the projects of a team, then in the given order (most
 * important first). Deterministic: the result does not depend on earlier tables.
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
