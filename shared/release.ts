import type { Framework } from './build-plan'

/**
 * The result of a build, identified by its digest (`sha256:` + 64 hex digits). An `image` is stored in the container engine, a `bundle` (tar,
 * zstd) in `storage/`.
 */
export interface Artifact {
  kind: 'image' | 'bundle'
  digest: string
  sizeBytes: number
  framework: Framework
  start: { argv: string[]; env: Record<string, string> }
  port: number
  healthCheckPath: string
  /** Exact version of Node for build and run ("24.21.0"); null: unknown (a Dockerfile). */
  nodeVersion: string | null
  /** The pnpm or Yarn of the build ("pnpm@10.34.8"); null: npm, which belongs to Node, none, or unknown (a Dockerfile). */
  packageManager: string | null
}

export type Slot = 'blue' | 'green'
export const otherSlot = (slot: Slot | null): Slot => (slot === 'blue' ? 'green' : 'blue')

/** Resource limits of one instance. */
export interface ResourceLimits {
  memoryBytes: number
  /** Number of cores. */
  cpus: number
  pids: number
}
export const defaultInstanceLimits: ResourceLimits = { memoryBytes: 512 * 1024 * 1024, cpus: 1, pids: 512 }

/** Directory in an artifact for caches of the framework at run time. Private to each instance, bounded, empty at its start and removed at its end. */
export const cacheDirectory = '.switchyard/cache'
export const defaultCacheBytes = 64 * 1024 * 1024
/** Default size of the other writable directories of an instance (`/tmp`, HOME), which are in memory and count as its memory. */
export const defaultScratchBytes = (limits: ResourceLimits): number => Math.floor(Math.max(16 * 1024 * 1024, limits.memoryBytes / 2))

/**
 * Health check of a release. A response is healthy if it arrives within `latencyThresholdMs` with a status below 500; with a path set by the
 * project, 2xx or 3xx is required.
 */
export interface HealthCheck {
  path: string
  /** True: the project set the path, so only 2xx and 3xx are healthy. */
  strict: boolean
  intervalMs: number
  /** Deadline for the first healthy response. */
  startPeriodMs: number
  /** A start fails when all responses have been error statuses for this long. */
  errorsPeriodMs: number
  /** Required number of consecutive healthy responses. */
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
  // Less than the timeout, because a threshold equal to it could never be exceeded.
  latencyThresholdMs: 4_000,
}
