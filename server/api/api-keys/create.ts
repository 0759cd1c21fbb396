import { apiKeyInput, createdApiKeyView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const create = procedureFor('api-key.write')
  .input(apiKeyInput)
  .output(createdApiKeyView)
  .mutation(({ ctx, input }) => getPlatform().apiKeys.create(ctx.actor, input))
