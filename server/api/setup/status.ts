import { z } from 'zod'
import { getPlatform } from '../../platform'
import { publicProcedure } from '../trpc'

/** Is the first account still to be created? */
export const status = publicProcedure
  .output(z.object({ needed: z.boolean() }))
  .query(async () => ({ needed: await getPlatform().accounts.setupNeeded() }))
