import { createMask, type Env, type Mask } from '@/shared/node/mask'

/** Secret mask of a running deployment. Values added during the run are masked in all later output. */
export interface RunMask {
  (text: string): string
  learn(variables: Env): void
  /** The current mask. */
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
