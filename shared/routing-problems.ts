import { z } from 'zod'

/** What the routers do not serve of a project as it was asked for, and why: one bad part costs its own project alone. */
export const routingProblem = z.object({
  /** closed: nobody is let in, because it cannot be known who may come in; left-out: the rest serves without this part. */
  effect: z.enum(['closed', 'left-out']),
  message: z.string(),
  nextAction: z.string(),
  /** Addresses it concerns, the first few; empty: all of the project. */
  hosts: z.array(z.string()),
})
export type RoutingProblem = z.infer<typeof routingProblem>
export const routingProblemList = z.array(routingProblem)
