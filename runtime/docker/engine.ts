import Docker from 'dockerode'
import { AppError, isAppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'

const nextAction = 'Start Docker again (systemctl start docker), then retry; what was asked for is not lost.'
const stillServing = 'Routers do not need the engine: apps that still run keep answering. Nothing can be started, stopped or read until it is back.'

/** Status the engine answered with; undefined when it did not answer. */
export function engineStatus(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** The engine's own words, without dockerode's wrapping. */
export function engineMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const json = 'json' in error ? (error.json as { message?: unknown } | null) : null
  return typeof json?.message === 'string' ? json.message : error.message
}

/** A client for `unix:///path`, a bare socket path, or `tcp://host:port`. The API version is left to the engine: pinning one shuts out older or newer engines. */
function client(host: string): Docker {
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length), host: undefined } as Docker.DockerOptions)
  if (host.startsWith('/')) return new Docker({ socketPath: host, host: undefined } as Docker.DockerOptions)
  const url = new URL(host)
  return new Docker({ host: url.hostname, port: Number(url.port || 2375), protocol: url.protocol === 'https:' ? 'https' : 'http' })
}

/** The Docker engine with a deadline on every call. dockerd can be frozen with its socket still accepting: nothing waits for it without end. */
export class Engine {
  readonly docker: Docker
  /** A local engine's containers can be reached by their own addresses, and its bridges by our firewall. */
  readonly local: boolean
  private cpus: number | undefined

  constructor(readonly host: string) {
    this.docker = client(host)
    this.local = host.startsWith('/') || host.startsWith('unix://')
  }

  /**
   * @throws AppError ERR_DEADLINE, or ERR_UNAVAILABLE when the engine does not answer at all.
   * What the engine answered with is thrown as it came: see `engineStatus`.
   */
  async call<T>(what: string, ms: number, work: (docker: Docker, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await withDeadline(`the Docker engine (${what})`, ms, (inner) => work(this.docker, inner), signal)
    } catch (error) {
      if (signal?.aborted) throw new AppError('ERR_CANCELED', `Canceled: ${what}`, { cause: error })
      if (isAppError(error)) {
        if (error.code === 'ERR_DEADLINE') throw new AppError('ERR_DEADLINE', error.message, { cause: error, stillServing, nextAction })
        throw error
      }
      if (engineStatus(error) !== undefined) throw error
      throw new AppError('ERR_UNAVAILABLE', `The Docker engine at ${this.host} does not answer (${what}): ${engineMessage(error)}`, {
        cause: error,
        stillServing,
        nextAction,
      })
    }
  }

  /** Like `call`; 404 is `null`. */
  async find<T>(what: string, ms: number, work: (docker: Docker, signal: AbortSignal) => Promise<T>): Promise<T | null> {
    try {
      return await this.call(what, ms, work)
    } catch (error) {
      if (engineStatus(error) === 404) return null
      throw asAppError(what, error)
    }
  }

  /** Cores the engine can give out: it refuses a limit above them. */
  async cores(): Promise<number> {
    this.cpus ??= ((await this.call('its size', 10_000, (docker) => docker.info())) as { NCPU: number }).NCPU || 1
    return this.cpus
  }
}

/** An answer of the engine that nobody foresaw. */
export function asAppError(what: string, error: unknown): AppError {
  if (isAppError(error)) return error
  const status = engineStatus(error)
  return new AppError(status === 409 ? 'ERR_CONFLICT' : 'ERR_UNAVAILABLE', `The Docker engine refused: ${what}: ${engineMessage(error)}`, {
    cause: error,
    nextAction: 'Look at the engine’s log (journalctl -u docker), then retry.',
  })
}
