import type { Artifact, HealthCheck, ResourceLimits, Slot } from '@/shared/release'

/** The owner of an instance, recorded on every container, process, network and directory. Objects without an owner are never changed. */
export interface InstanceOwner {
  /** Id of this installation: several installations on one machine never change each other's instances. */
  installationId: string
  teamId: string
  projectId: string
  projectSlug: string
  environmentId: string
  deploymentId: string
  instanceId: string
  slot: Slot
}

export interface InstanceSpec {
  owner: InstanceOwner
  artifact: Artifact
  /** Runtime variables, including secrets. The driver sets `PORT`, `HOST` and `HOSTNAME`. */
  env: Record<string, string>
  limits: ResourceLimits
  /** Maximum bytes of a request head that routers forward. */
  maxHeaderBytes: number
}

export interface InstanceAddress {
  /** IP literal reachable from the routers. */
  host: string
  port: number
}

export interface ObservedInstance {
  owner: InstanceOwner
  state: 'running' | 'sleeping' | 'exited'
  address: InstanceAddress | null
  startedAt: Date | null
  /** Only for the state `exited`. */
  exit: { code: number | null; signal: string | null; outOfMemory: boolean } | null
}

/** A TCP socket that listens. */
export interface Listener {
  /** Local address; `0.0.0.0` and `::` mean all addresses. */
  address: string
  port: number
}

export interface InstanceStats {
  /** CPU time since the start, summed over all cores. */
  cpuSeconds: number
  /** Working set: memory without reclaimable page cache. */
  memoryBytes: number
  memoryLimitBytes: number
  pids: number
  at: Date
}

export interface InstanceLogLine {
  stream: 'stdout' | 'stderr'
  text: string
  at: Date
  /** Opaque position: `logs({ after })` continues after it. */
  cursor: string
  /** Why the text is shorter than the line: `continued`: the next line of this stream continues it; `dropped`: the rest was not kept. */
  cut?: 'continued' | 'dropped'
}

export interface LogQuery {
  after?: string
  /** Starts with the last N lines. */
  tail?: number
  follow?: boolean
  signal?: AbortSignal
}

/**
 * Runs artifacts as instances. Every driver passes one contract suite (`runtime/contract.ts`). Every call has a deadline and throws AppError
 * (ERR_DEADLINE, ERR_UNAVAILABLE, ERR_START, ERR_NOT_FOUND).
 */
export interface RuntimeDriver {
  readonly kind: 'docker' | 'process'
  /**
   * Starts an instance and returns when it runs, healthy or not. Starting the same `instanceId` again returns the running instance. A failed
   * start leaves nothing behind.
   */
  start(spec: InstanceSpec, signal?: AbortSignal): Promise<ObservedInstance>
  /** All instances of this installation, including exited ones. */
  list(): Promise<ObservedInstance[]>
  inspect(instanceId: string): Promise<ObservedInstance | null>
  /** Resolves when the instance no longer runs or is unknown, without a deadline. Rejects when `signal` is aborted. */
  untilExit(instanceId: string, signal: AbortSignal): Promise<void>
  stats(instanceId: string): Promise<InstanceStats>
  /** Listening sockets of the instance, from the kernel's tables; null: not accessible (another machine, or no such instance). */
  listeners(instanceId: string): Promise<Listener[] | null>
  /**
   * Sends SIGTERM, then SIGKILL after `graceMs`, to all processes of the instance; then removes it and its resources, except its logs (see
   * `forget`). No error for an unknown or stopped instance.
   */
  stop(instanceId: string, graceMs: number): Promise<void>
  /** Removes logs and directories that `stop` kept. */
  forget(instanceId: string): Promise<void>
  /** Freezes a running instance in milliseconds; it keeps its memory. `wake` resumes it. */
  sleep(instanceId: string): Promise<void>
  wake(instanceId: string): Promise<void>
  /** Yields lines in order. Ends at the end of the log; when following, at the end of the instance. Works for exited instances until `forget`. */
  logs(instanceId: string, query?: LogQuery): AsyncIterable<InstanceLogLine>
  /** Removes the project's network, user and directories once it has no instance. */
  removeProject(projectId: string): Promise<void>
  /** Whether the engine of the driver is available, with a sentence for users. */
  health(): Promise<RuntimeHealth>
  close(): Promise<void>
}

/** `weakness`: a sentence for users about missing isolation between apps. null: fully isolated. */
export type RuntimeHealth = { ok: true; detail: string; weakness: string | null } | { ok: false; reason: string }

export interface ProbeResult {
  healthy: boolean
  attempts: number
  /** Latency of the last response. */
  latencyMs: number | null
  statusCode: number | null
  /** A sentence for users, when unhealthy: the request, the response, and the duration. */
  reason: string | null
}

export interface ProbeOptions {
  signal?: AbortSignal
  stillRunning: () => Promise<boolean>
  /** Resolves when the instance ends, which ends the probe at once. If absent or rejected, `stillRunning` is polled instead. */
  untilExit?: (signal: AbortSignal) => Promise<void>
  /** Listening sockets of the instance, for the reason text; null: unknown. */
  listeners?: () => Promise<Listener[] | null>
  /** Called once for each notice, such as the port that the instance listens on while it does not respond. */
  onNotice?: (text: string) => void
  /** Called when the instance no longer runs, so that the reason can name the exit code. */
  exit?: () => Promise<ObservedInstance['exit']>
}

/** The runtime interface of the control plane: a driver, the health probe, and draining. */
export interface Runtime extends RuntimeDriver {
  probe(address: InstanceAddress, check: HealthCheck, options: ProbeOptions): Promise<ProbeResult>
  /** Resolves when `inFlight()` is 0 or at the deadline, and reports which. */
  drain(options: {
    inFlight: () => Promise<number>
    deadlineMs: number
    /** Milliseconds between two counts. */
    pollMs?: number
    signal?: AbortSignal
  }): Promise<{ drained: boolean; waitedMs: number }>
}
