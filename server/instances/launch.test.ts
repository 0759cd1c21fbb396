import { expect, test } from 'vitest'
import { defaultHealthCheck, defaultInstanceLimits } from '@/shared/release'
import { releaseConfig } from './launch'

test('a release of an earlier version, which says nothing of errors, has its whole time to start', () => {
  const { errorsPeriodMs: _, ...earlier } = { ...defaultHealthCheck, startPeriodMs: 90_000 }
  expect(releaseConfig({ config: { health: earlier, limits: defaultInstanceLimits } as never })).toEqual({
    health: { ...earlier, errorsPeriodMs: 90_000 },
    limits: defaultInstanceLimits,
  })
  const config = { health: defaultHealthCheck, limits: defaultInstanceLimits }
  expect(releaseConfig({ config: config as never })).toEqual(config)
})
