import { createMask, type Env, type Mask } from '@/shared/node/mask'

/** The mask of one deployment: what it learns of variables while it runs is hidden in everything written from then on. */
export interface RunMask {
  (text: string): string
  learn(variables: Env): void
  /** As it is now. */
  current(): Mask
}

export function createRunMask(): RunMask {
  const known: Env[] = []
  let mask = createMask()
  return Object.assign((text: string) => mask(text), {
    learn(variables: Env) {
      known.push(variables)
      mask = createMask(...known)
    },
    current: () => mask,
  })
}
