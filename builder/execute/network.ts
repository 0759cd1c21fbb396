import { createHash } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { type Engine, engineCall } from '@/builder/engine'
import type { BuildLogger, HostEnv } from '@/builder/options'
import { isAppError } from '@/shared/errors'

/** Prefix of bridge interfaces that the runtime's firewall isolates from this machine (`runtime/docker/firewall.ts`). */
const bridgePrefix = 'swy-'
const deadlineMs = 20_000
/** The default network of every engine. */
export const defaultNetwork = 'bridge'

/**
 * Creates one network for the build containers of this installation: it reaches the internet, but no other build and not this machine. Falls
 * back to the default bridge if a proxy or registry runs on this machine, or if the engine has no free subnet.
 */
export function createBuildNetwork(engine: Engine, installationId: string, hostEnv: HostEnv, logger: BuildLogger): () => Promise<string> {
  const name = `switchyard-build-${installationId}`
  let running: Promise<string> | null = null
  const ensure = async (): Promise<string> => {
    if (usesThisMachine(hostEnv)) return defaultNetwork
    if (await exists(engine, name)) return name
    try {
      await create(engine, name, installationId)
      return name
    } catch (error) {
      // Another process created the network at the same time.
      if (await exists(engine, name)) return name
      logger.warn({ err: error }, 'builds use the default network')
      return defaultNetwork
    }
  }
  return () => {
    running ??= ensure().finally(() => {
      running = null
    })
    return running
  }
}

async function exists(engine: Engine, name: string): Promise<boolean> {
  try {
    await engineCall('looking for the build network', deadlineMs, () => engine.getNetwork(name).inspect())
    return true
  } catch (error) {
    if (isAppError(error) && error.code === 'ERR_NOT_FOUND') return false
    throw error
  }
}

function create(engine: Engine, name: string, installationId: string): Promise<unknown> {
  const digest = createHash('sha256').update(name).digest('hex')
  const options = {
    Name: name,
    Driver: 'bridge',
    CheckDuplicate: true,
    Labels: { 'switchyard.installationId': installationId, 'switchyard.role': 'build-network' },
    Options: { 'com.docker.network.bridge.name': `${bridgePrefix}${digest.slice(0, 11)}`, 'com.docker.network.bridge.enable_icc': 'false' },
  }
  return engineCall('creating the build network', deadlineMs, () => engine.createNetwork(options))
}

/** Whether a required proxy or registry has an address of this machine. */
function usesThisMachine(hostEnv: HostEnv): boolean {
  const own = new Set(
    Object.values(networkInterfaces())
      .flat()
      .map((address) => address?.address),
  )
  return Object.values(hostEnv).some((value) => URL.canParse(value) && own.has(new URL(value).hostname))
}
