import type { Framework } from './build-plan'

/** What a build made, by digest (`sha256:` + 64 hex digits). An `image` lives in the container engine, a `bundle` (tar, zstd) in `storage/`. */
export interface Artifact {
  kind: 'image' | 'bundle'
  digest: string
  sizeBytes: number
  framework: Framework
  start: { argv: string[]; env: Record<string, string> }
  port: number
  healthCheckPath: string
  /** Node that it was built on and runs on, exactly ("24.21.0"); null: its own business (a Dockerfile). */
  nodeVersion: string | null
}

export type Slot = 'blue' | 'green'
export const otherSlot = (slot: Slot | null): Slot => (slot === 'blue' ? 'green' : 'blue')

/** Limits of one instance. */
export interface ResourceLimits {
  memoryBytes: number
  /** 1 = one core. */
  cpus: number
  pids: number
}
export const defaultInstanceLimits: ResourceLimits = { memoryBytes: 512 * 1024 * 1024, cpus: 1, pids: 512 }

/** Below an artifact's root: what a framework keeps while it runs. Empty at the start of each instance, gone at its end, bounded. */
export const cacheDirectory = '.switchyard/cache'
export const defaultCacheBytes = 64 * 1024 * 1024
/** What an instance may write elsewhere (`/tmp`, HOME): it lies in memory and counts as that. */
export const defaultScratchBytes = (limits: ResourceLimits): number => Math.floor(Math.max(16 * 1024 * 1024, limits.memoryBytes / 2))

/** Health check as a release freezes it. An answer < 500 within `latencyThresholdMs` is healthy; 2xx/3xx is required when the project set its own path. */
export interface HealthCheck {
  path: string
  /** True when the person named the path: then only 2xx and 3xx count. */
  strict: boolean
  intervalMs: number
  /** Budget for the first healthy answer. */
  startPeriodMs: number
  /** A start fails when every answer has been an error status for this long. */
  errorsPeriodMs: number
  /** Consecutive healthy answers required. */
  successes: number
  timeoutMs: number
  latencyThresholdMs: number
}
export const defaultHealthCheck: HealthCheck = {
  path: '/',
  strict: false,
  intervalMs: 100,
  startPeriodMs: 60_000,
  errorsPeriodMs: 20_000,
  successes: 2,
  timeoutMs: 5_000,
  // Below the time-out: a threshold that equals it could never be exceeded.
  latencyThresholdMs: 4_000,
}
