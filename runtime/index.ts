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
  /** `auto`: docker where an engine answers within two seconds, else process. */
  kind: 'auto' | 'docker' | 'process'
  installationId: string
  /** SWITCHYARD_HOME */
  home: string
  storage: BlobStore
  /** Path, unix:// or tcp:// (the form of DOCKER_HOST). */
  dockerSocket?: string | undefined
  /** The Node the platform runs on. */
  nodeBinary: string
  /** Installs the Node that an artifact was built on, where it is not on this machine. */
  fetchNode?: (version: string) => Promise<string>
  /** More directories for the PATH of apps in the process runtime. */
  toolPaths?: string[]
  /** Size of what an instance may write to `/tmp` and HOME. null: half of its memory. */
  scratchBytes?: number | null
  /** Size of the cache of an instance's framework. */
  cacheBytes?: number
  /** Private places that apps may reach, and those that builds may too. */
  reach?: { apps: readonly Reach[]; builds: readonly Reach[] }
  logger: RuntimeLogger
}

/** The runtime of this installation. With `kind: 'docker'` the engine may still be down: calls fail then, and health says so. */
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

/** A driver, with what all drivers do alike. */
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
