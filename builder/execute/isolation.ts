import type { Reach } from '@/shared/node/reach'
import { buildUsers, UserFirewall } from '@/shared/node/user-firewall'

/** Denies builds on the host access to ports of this machine, by user. */
export interface BuildIsolation {
  /** Restricts this user until `release`. `weakness`: a sentence for users about missing isolation. */
  close(uid: number): Promise<{ weakness: string | null; release(): Promise<void> }>
}

export function createBuildIsolation(installationId: string, reach: readonly Reach[]): BuildIsolation {
  const firewall = new UserFirewall({ name: `${installationId}/builds`, users: buildUsers, reach })
  const building = new Set<number>()
  return {
    async close(uid) {
      building.add(uid)
      const state = await firewall.ensure([...building], 2_000)
      return {
        weakness: state.ok ? null : state.reason,
        async release() {
          building.delete(uid)
          if (building.size === 0) await firewall.remove()
          else await firewall.ensure([...building])
        },
      }
    },
  }
}
