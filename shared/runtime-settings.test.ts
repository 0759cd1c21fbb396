import { expect, test } from 'vitest'
import { defaultRuntimeSettings, patchRuntimeSettings, readRuntimeSettings, runtimeSettings, runtimeSettingsPatch } from './runtime-settings'

test('the defaults are valid settings', () => {
  expect(runtimeSettings.parse(defaultRuntimeSettings)).toEqual(defaultRuntimeSettings)
})

test('a change keeps what it does not name, and null sets a setting back to its default', () => {
  expect(patchRuntimeSettings(null, { drainSeconds: 3600 })).toEqual({ drainSeconds: 3600 })
  expect(patchRuntimeSettings({ drainSeconds: 3600 }, {})).toEqual({ drainSeconds: 3600 })
  expect(patchRuntimeSettings({ drainSeconds: 3600 }, { drainSeconds: null })).toBeNull()
})

test('a stored value that is not valid counts as not set', () => {
  expect(readRuntimeSettings({ drainSeconds: -1, unknown: true })).toEqual(defaultRuntimeSettings)
  expect(readRuntimeSettings('nonsense')).toEqual(defaultRuntimeSettings)
})

test('an unknown setting or a value outside of its bounds is refused', () => {
  expect(runtimeSettingsPatch.safeParse({ drainSeconds: 86_401 }).success).toBe(false)
  expect(runtimeSettingsPatch.safeParse({ drain: 1 }).success).toBe(false)
})
