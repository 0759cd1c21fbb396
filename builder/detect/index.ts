import type { BuildSettings } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import type { Detection } from './detection'

export type { Detection, Packages, Shape } from './detection'

/**
 * Says what the tree in `directory` is and how it is built. Reads files, runs nothing.
 * @throws AppError ERR_DETECT with what was looked for, what was found and the setting that helps.
 */
export async function detect(directory: string, settings: BuildSettings): Promise<Detection> {
  throw new AppError('ERR_UNAVAILABLE', 'detection arrives with the next commit', { cause: { directory, settings } })
}
