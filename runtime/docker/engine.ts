import Docker from 'dockerode'
import { AppError, isAppError } from '@/shared/errors'
import { withDeadline } from '@/shared/node/deadline'

const nextAction = 'Start Docker again (systemctl start docker), then retry; what was asked for is not lost.'
const stillServing = 'Routers do not need the engine: apps that still run keep answering. Nothing can be started, stopped or read until it is back.'

/** HTTP status of the engine's response; undefined: no response. */
export function engineStatus(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined
}

/** The engine's message, without the text that dockerode adds. */
export function engineMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const json = 'json' in error ? (error.json as { message?: unknown } | null) : null
  return typeof json?.message === 'string' ? json.message : error.message
}

/**
 * Creates a client for `unix:///path`, a socket path, or `tcp://host:port`. Uses the engine's own API version: a fixed version excludes older or
 * newer engines.
 */
function client(host: string): Docker {
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length), host: undefined } as Docker.DockerOptions)
  if (host.startsWith('/')) return new Docker({ socketPath: host, host: undefined } as Docker.DockerOptions)
  const url = new URL(host)
  return new Docker({ host: url.hostname, port: Number(url.port || 2375), protocol: url.protocol === 'https:' ? 'https' : 'http' })
}

/** Docker engine with a deadline on every call: a frozen dockerd still accepts connections. */
export class Engine {
  readonly docker: Docker
  /** Whether the engine runs on this machine: then its containers are reachable by their own addresses, and our firewall covers its bridges. */
  readonly local: boolean
  private cpus: number | undefined

  constructor(readonly host: string) {
    this.docker = client(host)
    this.local = host.startsWith('/') || host.startsWith('unix://')
  }

  /**
   * Calls the engine. Errors in its response are thrown unchanged, see `engineStatus`.
   * @throws AppError ERR_DEADLINE, or ERR_UNAVAILABLE when the engine does not respond.
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

  /** Like `call`, but returns null for status 404. */
  async find<T>(what: string, ms: number, work: (docker: Docker, signal: AbortSignal) => Promise<T>): Promise<T | null> {
    try {
      return await this.call(what, ms, work)
    } catch (error) {
      if (engineStatus(error) === 404) return null
      throw asAppError(what, error)
    }
  }

  /** Number of cores of the engine: it refuses a higher limit. */
  async cores(): Promise<number> {
    this.cpus ??= ((await this.call('its size', 10_000, (docker) => docker.info())) as { NCPU: number }).NCPU || 1
    return this.cpus
  }
}

/** Converts an unexpected error of the engine. */
export function asAppError(what: string, error: unknown): AppError {
  if (isAppError(error)) return error
  const status = engineStatus(error)
  return new AppError(status === 409 ? 'ERR_CONFLICT' : 'ERR_UNAVAILABLE', `The Docker engine refused: ${what}: ${engineMessage(error)}`, {
    cause: error,
    nextAction: 'Look at the engine’s log (journalctl -u docker), then retry.',
  })
}
