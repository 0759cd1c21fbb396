import { z } from 'zod'
import { apiKeyView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('api-key.read')
  .output(z.array(apiKeyView))
  .query(({ ctx }) => getPlatform().apiKeys.list(ctx.actor))
