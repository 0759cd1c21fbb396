import type { EnvironmentProtection } from '@/shared/environments'

interface Layers {
  kind: string
  protection: string | null
  parent: { protection: string | null } | null
}

/** How an environment is protected where no rule says it: as set for it, else as all previews. Previews are protected unless a person says otherwise. */
export function protectionOf({ kind, protection, parent }: Layers): EnvironmentProtection {
  const set = protection ?? parent?.protection ?? null
  if (set === null) return kind === 'PREVIEW' ? 'link' : 'none'
  // An unknown stored value counts as protected.
  return set === 'none' ? 'none' : 'link'
}
