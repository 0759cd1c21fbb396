import { z } from 'zod'
import { memberView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const members = procedureFor('team.read')
  .output(z.array(memberView))
  .query(({ ctx }) => getPlatform().team.members(ctx.actor))
