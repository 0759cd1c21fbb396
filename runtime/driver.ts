import type { Artifact, HealthCheck, ResourceLimits, Slot } from '@/shared/release'

/** Who owns an instance: written on every container, process, network and directory. Nothing without it is ever touched. */
export interface InstanceOwner {
  /** Identity of this installation: two Switchyards on one machine never touch each other's instances. */
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
  /** Runtime variables, secrets included; `PORT`, `HOST` and `HOSTNAME` are the driver's. */
  env: Record<string, string>
  limits: ResourceLimits
  /** Bytes of a request head that the routers pass on. */
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
  /** Set for `exited`. */
  exit: { code: number | null; signal: string | null; outOfMemory: boolean } | null
}

/** A TCP socket that listens. */
export interface Listener {
  /** Address it is bound to; `0.0.0.0` and `::` are all. */
  address: string
  port: number
}

export interface InstanceStats {
  /** Since the start, all cores together. */
  cpuSeconds: number
  /** Working set: without reclaimable page cache. */
  memoryBytes: number
  memoryLimitBytes: number
  pids: number
  at: Date
}

export interface InstanceLogLine {
  stream: 'stdout' | 'stderr'
  text: string
  at: Date
  /** Opaque position: `logs({after})` goes on behind it. */
  cursor: string
  /** The text ends before the line does: the rest is the next line of this stream, or was not kept. */
  cut?: 'continued' | 'dropped'
}

export interface LogQuery {
  after?: string
  /** Only the last N lines to begin with. */
  tail?: number
  follow?: boolean
  signal?: AbortSignal
}

/**
 * artifact → instances. One contract suite (`runtime/contract.ts`) holds every driver to this text.
 * Every call has a deadline of its own and throws AppError (ERR_DEADLINE, ERR_UNAVAILABLE, ERR_START, ERR_NOT_FOUND).
 */
export interface RuntimeDriver {
  readonly kind: 'docker' | 'process'
  /** Starts one instance and returns when it runs, not when it is healthy. Starting an `instanceId` twice returns the first. A failed start leaves nothing behind. */
  start(spec: InstanceSpec, signal?: AbortSignal): Promise<ObservedInstance>
  /** Every instance of this installation, exited ones included. */
  list(): Promise<ObservedInstance[]>
  inspect(instanceId: string): Promise<ObservedInstance | null>
  /** Resolves as soon as it no longer runs, or is unknown. Waits as long as that takes: `signal` ends the wait, which rejects then. */
  untilExit(instanceId: string, signal: AbortSignal): Promise<void>
  stats(instanceId: string): Promise<InstanceStats>
  /** What its processes listen on, from the kernel's own tables; null: they are out of reach (another machine, or no such instance). */
  listeners(instanceId: string): Promise<Listener[] | null>
  /** SIGTERM, then SIGKILL after `graceMs`, strays included; removes the instance and what it owned (its logs stay until `forget`). Unknown or stopped: no error. */
  stop(instanceId: string, graceMs: number): Promise<void>
  /** Removes what `stop` kept for reading (logs, directories). */
  forget(instanceId: string): Promise<void>
  /** Freezes a running instance; `wake` thaws it. Costs milliseconds, keeps memory. */
  sleep(instanceId: string): Promise<void>
  wake(instanceId: string): Promise<void>
  /** Lines in order; ends at the end of the log, or with the instance when following. Works for exited instances until `forget`. */
  logs(instanceId: string, query?: LogQuery): AsyncIterable<InstanceLogLine>
  /** Removes the project's own leftovers (network, user, directories) once it has no instance. */
  removeProject(projectId: string): Promise<void>
  /** Is the engine behind the driver there? A sentence for people when it is not. */
  health(): Promise<RuntimeHealth>
  close(): Promise<void>
}

/** `weakness`: what apps are not kept from, in a sentence for everybody who deploys. null: nothing. */
export type RuntimeHealth = { ok: true; detail: string; weakness: string | null } | { ok: false; reason: string }

export interface ProbeResult {
  healthy: boolean
  attempts: number
  /** Of the last answer. */
  latencyMs: number | null
  statusCode: number | null
  /** For people, when unhealthy: what was asked, what came back, for how long. */
  reason: string | null
}

export interface ProbeOptions {
  signal?: AbortSignal
  stillRunning: () => Promise<boolean>
  /** Resolves when it ends: the probe is over at once then. Without it, and where it rejects, `stillRunning` is asked in between. */
  untilExit?: (signal: AbortSignal) => Promise<void>
  /** What it listens on, so that the reason can say so; null: not known. */
  listeners?: () => Promise<Listener[] | null>
  /** Told at once, each thing once: where it listens while it does not answer. */
  onNotice?: (text: string) => void
  /** Asked when it no longer runs, so that the reason can name the exit code. */
  exit?: () => Promise<ObservedInstance['exit']>
}

/** The whole interface the control plane works with: a driver, the probe from outside the instance, and the wait for its requests to end. */
export interface Runtime extends RuntimeDriver {
  probe(address: InstanceAddress, check: HealthCheck, options: ProbeOptions): Promise<ProbeResult>
  /** Resolves when `inFlight()` is 0 or at the deadline; says which. */
  drain(options: {
    inFlight: () => Promise<number>
    deadlineMs: number
    /** Between two counts. */
    pollMs?: number
    signal?: AbortSignal
  }): Promise<{ drained: boolean; waitedMs: number }>
}
