import { z } from 'zod'
import { firstAccountInput } from '@/shared/views'
import { getPlatform } from '../../platform'
import { publicProcedure } from '../trpc'

export const createAccount = publicProcedure
  .input(firstAccountInput)
  .output(z.object({ userId: z.string() }))
  .mutation(({ ctx, input }) => getPlatform().accounts.createFirstAccount(input, ctx.address))
