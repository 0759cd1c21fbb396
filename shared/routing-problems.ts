import { z } from 'zod'

/** A part of a project that the routers do not serve, and why. Other projects are not affected. */
export const routingProblem = z.object({
  /** closed: the site is closed because its access rules are invalid; left-out: the site is served without this part. */
  effect: z.enum(['closed', 'left-out']),
  message: z.string(),
  nextAction: z.string(),
  /** The first affected hosts; empty: the whole project. */
  hosts: z.array(z.string()),
})
export type RoutingProblem = z.infer<typeof routingProblem>
export const routingProblemList = z.array(routingProblem)
