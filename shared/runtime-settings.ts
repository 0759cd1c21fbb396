import { z } from 'zod'

/**
 * How the instances of a project run. A project stores only what a person set; everything else is the default below. Add a setting here
 * and it is in the schema of the API, the OpenAPI document and `switchyard.json`.
 */
const fields = {
  /** How long an instance that was replaced may finish its requests, downloads and WebSockets. */
  drainSeconds: z
    .number()
    .int()
    .min(0)
    .max(86_400)
    .meta({ description: 'Time that requests, downloads and WebSockets of a replaced version get to finish.' }),
}

export const runtimeSettings = z.object(fields)
export type RuntimeSettings = z.infer<typeof runtimeSettings>
export type RuntimeSetting = keyof RuntimeSettings

export const defaultRuntimeSettings: RuntimeSettings = {
  drainSeconds: 30,
}

type Nullable<T> = { [K in keyof T]: z.ZodOptional<z.ZodNullable<T[K] extends z.ZodType ? T[K] : never>> }

/** A change: null sets a setting back to its default, a missing key leaves it as it is. */
export const runtimeSettingsPatch = z.strictObject(
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.nullable().optional()])) as Nullable<typeof fields>,
)
export type RuntimeSettingsPatch = z.infer<typeof runtimeSettingsPatch>

/** What holds for a project, from what it stores. A stored value that is no longer valid counts as not set. */
export function readRuntimeSettings(stored: unknown): RuntimeSettings {
  return { ...defaultRuntimeSettings, ...storedSettings(stored) }
}

/** What a project stores after a change; null when nothing is set any more. */
export function patchRuntimeSettings(stored: unknown, patch: RuntimeSettingsPatch): Partial<RuntimeSettings> | null {
  const next: Record<string, unknown> = { ...storedSettings(stored) }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete next[name]
    else if (value !== undefined) next[name] = value
  }
  return Object.keys(next).length > 0 ? (next as Partial<RuntimeSettings>) : null
}

function storedSettings(stored: unknown): Partial<RuntimeSettings> {
  if (stored === null || typeof stored !== 'object') return {}
  const valid = Object.entries(fields).flatMap(([name, field]) => {
    const read = field.safeParse((stored as Record<string, unknown>)[name])
    return read.success ? [[name, read.data]] : []
  })
  return Object.fromEntries(valid) as Partial<RuntimeSettings>
}
