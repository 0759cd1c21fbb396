import type { BuildRequest } from '@/builder/builder'
import { type Engine, engineCall } from '@/builder/engine'
import type { BuildLogger, HostEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import { BuildFirewall } from './build-firewall'
import { BuildGroups, type GroupEvidence, groupPlace } from './build-groups'

/** Limits and isolation of builds that the engine runs outside of our own containers. */
export interface Confinement {
  /**
   * Applies limits before a BuildKit build; call `end` after it.
   * @throws AppError ERR_UNAVAILABLE with the reason when a limit or the firewall cannot be set and the settings do not allow that
   */
  begin(limits: BuildRequest['limits'], warn: (text: string) => void): Promise<{ evidence(): GroupEvidence; end(): Promise<void> }>
  /** For our own containers on the default bridge, which have limits already. Never throws. */
  beginOnDefaultBridge(): Promise<{ end(): Promise<void> }>
  /** Removes firewall rules of a killed process. */
  clear(): Promise<void>
}

const deadlineMs = 10_000
const nothing: GroupEvidence = { oomKills: 0, forksRefused: 0 }
const noEnd = async () => {}

export function createConfinement(options: {
  engine: Engine
  installationId: string
  hostEnv: HostEnv
  logger: BuildLogger
  /** Builds Dockerfiles even if limits and isolation are unavailable. */
  allowUnconfined: boolean
}): Confinement {
  const { engine, logger } = options
  const firewall = new BuildFirewall(engine, options.installationId, options.hostEnv, logger)
  let groups: Promise<BuildGroups> | null = null
  const findGroups = async (): Promise<BuildGroups> => {
    const info = await engineCall('asking for its control groups', deadlineMs, () => engine.info())
    const place = groupPlace(info as { CgroupDriver?: string; CgroupVersion?: string })
    if (!place) throw new Error('the container engine uses no control groups')
    return new BuildGroups(place)
  }
  const limit = async (limits: BuildRequest['limits']) => {
    groups ??= findGroups().catch((error) => {
      groups = null
      throw error
    })
    return (await groups).begin(limits)
  }
  const attempt = async <T>(what: string, work: () => Promise<T>, warn: (text: string) => void): Promise<T | null> => {
    try {
      return await work()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      logger.warn({ err: error }, `Dockerfile builds: ${what}`)
      if (!options.allowUnconfined) throw unconfined(what, reason)
      warn(`Warning: ${what} (${reason}). The operator has allowed Dockerfile builds all the same.`)
      return null
    }
  }
  return {
    async begin(limits, warn) {
      const limited = await attempt('the memory, processes and processor of a Dockerfile build cannot be limited here', () => limit(limits), warn)
      try {
        const closed = await attempt(
          'a Dockerfile build cannot be kept from this machine’s ports here',
          async () => {
            await firewall.begin()
            return true
          },
          warn,
        )
        return {
          evidence: () => limited?.evidence() ?? nothing,
          async end() {
            if (closed) await firewall.end()
            await limited?.end()
          },
        }
      } catch (error) {
        await limited?.end()
        throw error
      }
    },
    async beginOnDefaultBridge() {
      try {
        await firewall.begin()
        return { end: () => firewall.end() }
      } catch (error) {
        logger.warn({ err: error }, 'builds on the default network can reach ports of this machine')
        return { end: noEnd }
      }
    },
    clear: () => firewall.clear(),
  }
}

function unconfined(what: string, reason: string): AppError {
  return new AppError('ERR_UNAVAILABLE', `The Dockerfile is not built: ${what} (${reason}).`, {
    step: 'build',
    nextAction:
      'Let the operator run Switchyard as root on the machine of the container engine, or set SWITCHYARD_UNCONFINED_DOCKERFILES=allow if every person who may deploy is trusted with this machine.',
  })
}
