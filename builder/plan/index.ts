import type { Detection } from '@/builder/detect/detection'
import type { BuildPlan, BuildSettings } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'

/** Detection and settings → plan. Pure: equal input, equal plan. */
export function makePlan(detection: Detection, settings: BuildSettings): BuildPlan {
  throw new AppError('ERR_UNAVAILABLE', 'plans arrive with the next commit', { cause: { detection, settings } })
}
