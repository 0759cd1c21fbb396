import { z } from 'zod'

/**
 * How the instances of a project run. A project stores only changed settings; the defaults are below. A setting added here becomes part of the
 * API schema, the OpenAPI document and `switchyard.json`.
 */
const fields = {
  /** Maximum time for a replaced instance to finish its requests, downloads and WebSockets. */
  drainSeconds: z
    .number()
    .int()
    .min(0)
    .max(86_400)
    .meta({ description: 'Time that requests, downloads and WebSockets of a replaced version get to finish.' }),
  /** How many replaced versions of an environment may drain at the same time. */
  drainVersions: z
    .number()
    .int()
    .min(1)
    .max(100)
    .meta({ description: 'Replaced versions that drain at the same time; beyond it the oldest is ended.' }),
  startSeconds: z.number().int().min(1).max(3600).meta({ description: 'Time an instance has until its first healthy answer.' }),
  errorAnswersPercent: z.number().int().min(1).max(100).meta({
    description: 'Part of startSeconds after which a start fails if every health check was answered with an error status; 100 waits it out.',
  }),
  healthIntervalMs: z.number().int().min(10).max(60_000).meta({ description: 'Pause between two health checks of an instance that starts.' }),
  healthTimeoutMs: z.number().int().min(100).max(120_000).meta({ description: 'Time one health check may take.' }),
  healthySuccesses: z.number().int().min(1).max(100).meta({ description: 'Healthy answers in a row before an instance gets traffic.' }),
  latencyThresholdMs: z
    .number()
    .int()
    .min(10)
    .max(120_000)
    .meta({ description: 'A health check that takes longer is not healthy; below healthTimeoutMs, or it has no effect.' }),
  memoryMb: z.number().int().min(64).max(1_048_576).meta({ description: 'Memory of one instance, in MiB.' }),
  cpus: z.number().min(0.05).max(256).meta({ description: 'Processor time of one instance; 1 is one core.' }),
  instances: z.number().int().min(1).max(100).meta({ description: 'Instances that a release runs; visitors are spread over them.' }),
  warmMinutes: z.number().int().min(0).max(1440).meta({
    description: 'Time that the instances of a replaced version stay frozen in memory, so that a rollback takes milliseconds; 0 ends them at once.',
  }),
  watchSeconds: z.number().int().min(0).max(3600).meta({
    description: 'Time after a switch in which the new version is compared with the one before and rolled back when it is worse; 0 switches it off.',
  }),
  watchErrorPercent: z.number().min(0.1).max(100).meta({
    description: 'Part of answers with a server error, above that of the version before, at which a watched version is rolled back.',
  }),
  watchLatencyFactor: z.number().min(1).max(100).meta({
    description: 'How many times slower (95th percentile) than the version before a watched version may be.',
  }),
  stopGraceSeconds: z.number().int().min(0).max(600).meta({ description: 'Time between SIGTERM and SIGKILL.' }),
}

export const runtimeSettings = z.object(fields)
export type RuntimeSettings = z.infer<typeof runtimeSettings>
export type RuntimeSetting = keyof RuntimeSettings

export const defaultRuntimeSettings: RuntimeSettings = {
  drainSeconds: 30,
  drainVersions: 10,
  startSeconds: 60,
  errorAnswersPercent: 33,
  healthIntervalMs: 100,
  healthTimeoutMs: 5_000,
  healthySuccesses: 2,
  latencyThresholdMs: 4_000,
  memoryMb: 512,
  cpus: 1,
  instances: 1,
  warmMinutes: 30,
  watchSeconds: 120,
  watchErrorPercent: 3,
  watchLatencyFactor: 3,
  stopGraceSeconds: 10,
}

type Nullable<T> = { [K in keyof T]: z.ZodOptional<z.ZodNullable<T[K] extends z.ZodType ? T[K] : never>> }

/** A change of settings: null restores the default, a missing key changes nothing. */
export const runtimeSettingsPatch = z.strictObject(
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.nullable().optional()])) as Nullable<typeof fields>,
)
export type RuntimeSettingsPatch = z.infer<typeof runtimeSettingsPatch>

/** The effective settings of a project. Stored values that are no longer valid count as not set. */
export function readRuntimeSettings(stored: unknown): RuntimeSettings {
  return { ...defaultRuntimeSettings, ...storedSettings(stored) }
}

/** The settings to store after a change; null: all are defaults. */
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
