import type { Reach } from '@/shared/node/reach'
import { defaultCacheBytes } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { DockerDriver } from './docker/driver'
import { drain } from './drain'
import type { Runtime, RuntimeDriver } from './driver'
import type { RuntimeLogger } from './logger'
import { probe } from './probe'
import { ProcessDriver } from './process/driver'

export type { RuntimeLogger } from './logger'
export { stopAllProcesses } from './process/stop-all'

export interface RuntimeOptions {
  /** `auto`: docker if an engine responds within two seconds, else process. */
  kind: 'auto' | 'docker' | 'process'
  installationId: string
  /** SWITCHYARD_HOME */
  home: string
  storage: BlobStore
  /** Address of the engine: a path, unix:// or tcp:// (as in DOCKER_HOST). */
  dockerSocket?: string | undefined
  /** Node binary of the platform. */
  nodeBinary: string
  /** Installs the Node version of an artifact if it is missing on this machine. */
  fetchNode?: (version: string) => Promise<string>
  /** Additional directories in the PATH of apps in the process runtime. */
  toolPaths?: string[]
  /** Maximum bytes that an instance may write to `/tmp` and HOME. null: half of its memory. */
  scratchBytes?: number | null
  /** Maximum bytes of an instance's framework cache. */
  cacheBytes?: number
  /** Private destinations that apps and builds may reach. */
  reach?: { apps: readonly Reach[]; builds: readonly Reach[] }
  logger: RuntimeLogger
}

/** Creates the runtime of this installation. With `kind: 'docker'` the engine may be unavailable: calls then fail, and `health` reports it. */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  const driver = await chooseDriver(options)
  return withProbe(driver)
}

async function chooseDriver(options: RuntimeOptions): Promise<RuntimeDriver> {
  const { kind, installationId, home, logger, scratchBytes = null, cacheBytes = defaultCacheBytes } = options
  const sizes = { scratchBytes, cacheBytes }
  const { apps, builds } = options.reach ?? { apps: [], builds: [] }
  if (kind !== 'process') {
    const docker = new DockerDriver({
      installationId,
      home,
      host: options.dockerSocket || '/var/run/docker.sock',
      ...sizes,
      reach: [...apps, ...builds],
      logger,
    })
    if (kind === 'docker') return docker
    const health = await docker.health()
    if (health.ok) return docker
    logger.info({ reason: health.reason }, 'no container engine: apps run as processes')
    await docker.close()
  }
  const { storage, nodeBinary, toolPaths, fetchNode } = options
  return ProcessDriver.create({
    installationId,
    home,
    storage,
    nodeBinary,
    ...sizes,
    reach: apps,
    logger,
    ...(toolPaths ? { toolPaths } : {}),
    ...(fetchNode ? { fetchNode } : {}),
  })
}

/** Adds the probe and draining, which are the same for all drivers. */
export function withProbe(driver: RuntimeDriver): Runtime {
  return {
    kind: driver.kind,
    start: (spec, signal) => driver.start(spec, signal),
    list: () => driver.list(),
    inspect: (instanceId) => driver.inspect(instanceId),
    untilExit: (instanceId, signal) => driver.untilExit(instanceId, signal),
    stats: (instanceId) => driver.stats(instanceId),
    listeners: (instanceId) => driver.listeners(instanceId),
    stop: (instanceId, graceMs) => driver.stop(instanceId, graceMs),
    forget: (instanceId) => driver.forget(instanceId),
    sleep: (instanceId) => driver.sleep(instanceId),
    wake: (instanceId) => driver.wake(instanceId),
    logs: (instanceId, query) => driver.logs(instanceId, query),
    removeProject: (projectId) => driver.removeProject(projectId),
    health: () => driver.health(),
    close: () => driver.close(),
    probe,
    drain,
  }
}
