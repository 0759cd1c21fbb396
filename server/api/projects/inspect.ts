import { inspectInput, inspectionView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Fetches the repository and says what would be built. A mutation, because it reaches out and takes seconds. */
export const inspect = procedureFor('project.create')
  .input(inspectInput)
  .output(inspectionView)
  .mutation(({ ctx, input, signal }) => getPlatform().projects.inspect(ctx.actor, input, signal))
