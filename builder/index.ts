import { chmod, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isAppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { Artifact } from '@/shared/release'
import { artifactFiles, openArtifact } from './artifact-files'
import type { Builder } from './builder'
import { clearProjectCaches, type EvictionPolicy, evictCaches, type Freed, listCaches } from './cache/evict'
import { openEnvHash } from './cache/key'
import { createBuildUsers } from './cache/users'
import { createWorkspaces } from './cache/workspace'
import { detect } from './detect'
import { zipOfTar } from './download'
import { connectEngine, type Engine, engineCall } from './engine'
import { createConfinement } from './execute/confinement'
import { createEngineDirectory, engineUsage, pruneEngineCache } from './execute/engine-disk'
import { cleanUpHostBuild } from './execute/host'
import { createBuildIsolation } from './execute/isolation'
import { createBuildNetwork } from './execute/network'
import { createBaseImages, createTools } from './images'
import { type BuilderOptions, hostCaFile } from './options'
import { makePlan } from './plan'
import { type BuilderParts, buildFiles, knownHostsFile, mirrorDirectory, runBuild } from './run-build'
import { defaultSourceLimits, fetchSource } from './source'
import { holdMirror } from './source/mirror-turns'
import { readRemoteHead } from './source/remote-head'

export type { BuildEvents, Builder, BuildOutcome, BuildRequest, BuildStep, SourceSpec } from './builder'
export type { BuilderOptions, HostEnv } from './options'

/** Limits of build caches. */
export interface CacheLimits extends EvictionPolicy {
  /** Maximum bytes of the engine's build cache. */
  engineCacheBytes: number
  /** Node versions of existing artifacts. */
  nodesInUse: readonly string[]
}

/** A builder with the operations of the composition root. */
export interface ManagedBuilder extends Builder {
  /** Creates the base images before the first build. */
  prepare(nodeMajor?: number): Promise<void>
  /** Removes caches beyond the limits, except those in use. Returns what was freed. */
  evict(limits: CacheLimits): Promise<Freed[]>
  /** Disk usage by kind. */
  usage(): Promise<{ what: string; sizeBytes: number }[]>
  /** The engine's image directory; empty: not on this machine. */
  engineDirectory(): Promise<string[]>
  /** Directory of exactly this Node version, fetched if missing. @throws ERR_UNAVAILABLE without the npm registry */
  fetchNode(version: string): Promise<string>
}

const removeDeadlineMs = 30_000

/** The builder of an installation: images if there is an engine, bundles on the host. */
export async function createBuilder(options: BuilderOptions): Promise<ManagedBuilder> {
  const root = path.join(options.home, 'builds')
  await mkdir(root, { recursive: true, mode: 0o711 })
  await chmod(root, 0o711)
  const parts = await assemble(options, root)
  const { engine } = parts
  const projects = path.join(options.home, 'builds', 'projects')
  const hold = (directory: string) => (directory.startsWith(projects) ? parts.workspaces.hold(directory) : holdMirror(directory))
  return {
    inspect: (source, settings, signal) => inspectSource(parts, source, settings, signal),
    readHead: (projectId, source, branch, signal) =>
      readRemoteHead(source, branch, { knownHostsFile: knownHostsFile(options.home, projectId), signal }),
    build: (request, events, signal) => runBuild(parts, request, events, signal),
    artifactExists: parts.artifactExists,
    download: (artifact) => downloadArtifact(parts, artifact),
    files: (artifact) => artifactFiles(parts, artifact),
    removeArtifact: (artifact) => removeArtifact(parts, artifact),
    async cleanUp(deploymentId) {
      const files = buildFiles(options.home, deploymentId)
      if (engine) await removeContainers(engine, options.installationId, deploymentId)
      await cleanUpHostBuild(files.record)
      await rm(files.directory, { recursive: true, force: true })
    },
    async removeProject(projectId) {
      await parts.workspaces.removeProject(projectId)
      await rm(mirrorDirectory(options.home, projectId), { recursive: true, force: true })
      await rm(knownHostsFile(options.home, projectId), { force: true })
      if (engine) await removeProjectImages(engine, options.installationId, projectId)
    },
    async clearCache(projectId) {
      const freedBytes = await clearProjectCaches(options.home, projectId, hold)
      await parts.workspaces.markCleared(projectId)
      return freedBytes
    },
    async evict(limits) {
      const freed = await evictCaches(options.home, limits, hold)
      for (const { name, sizeBytes } of await parts.tools.removeUnused(limits))
        freed.push({ what: `unused tool ${name}`, projectId: null, sizeBytes })
      const keep = (await limits.isPressed()) ? 0 : limits.engineCacheBytes
      const pruned = engine ? await pruneEngineCache(engine, keep) : 0
      return pruned > 0 ? [...freed, { what: 'cache of Dockerfile builds', projectId: null, sizeBytes: pruned }] : freed
    },
    async usage() {
      const caches = await listCaches(options.home)
      const of = (kind: string) => caches.filter((entry) => entry.kind === kind).reduce((sum, entry) => sum + entry.sizeBytes, 0)
      return [
        { what: 'build caches', sizeBytes: of('build cache') },
        { what: 'git mirrors', sizeBytes: of('git mirror') },
        ...(engine ? await engineUsage(engine) : []),
      ]
    },
    engineDirectory: parts.engineDirectory,
    fetchNode: async (version) => path.dirname(await parts.tools.exactNode(version)),
    async prepare(nodeMajor = 24) {
      if (parts.images) await Promise.all([parts.images.run(nodeMajor), parts.images.build(nodeMajor)])
    },
  }
}

async function assemble(options: BuilderOptions, root: string): Promise<BuilderParts> {
  const caFile = hostCaFile(options.hostEnv)
  const toolsDirectory = path.join(options.home, 'tools')
  await mkdir(toolsDirectory, { recursive: true, mode: 0o755 })
  const tools = createTools({ directory: toolsDirectory, nodeBinary: options.nodeBinary, hostEnv: options.hostEnv, caFile })
  const engine = options.dockerSocket ? connectEngine(options.dockerSocket) : null
  const { installationId, hostEnv, logger } = options
  const allowUnconfined = options.allowUnconfinedDockerfiles ?? false
  const confinement = engine ? createConfinement({ engine, installationId, hostEnv, logger, allowUnconfined }) : null
  // Remove firewall rules of an earlier process that was killed.
  await confinement?.clear()
  const images = engine
    ? createBaseImages({
        engine,
        tools,
        factsFile: path.join(root, 'file-facts.json'),
        caFile,
        hostEnv: options.hostEnv,
        source: options.baseImage ?? 'auto',
        logger: options.logger,
      })
    : null
  return {
    options,
    caFile,
    isolation: createBuildIsolation(options.installationId, options.reach ?? []),
    engine,
    images,
    tools,
    buildNetwork: engine ? createBuildNetwork(engine, options.installationId, options.hostEnv, options.logger) : null,
    confinement,
    engineDirectory: createEngineDirectory(engine),
    envHash: await openEnvHash(root),
    workspaces: createWorkspaces(path.join(root, 'projects')),
    buildUser: createBuildUsers(root),
    artifactExists: (artifact) => artifactExists(options, engine, artifact),
  }
}

async function inspectSource(
  parts: BuilderParts,
  source: Parameters<Builder['inspect']>[0],
  settings: Parameters<Builder['inspect']>[1],
  signal?: AbortSignal,
) {
  const files = buildFiles(parts.options.home, `inspect-${newId()}`)
  await mkdir(files.directory, { recursive: true, mode: 0o700 })
  try {
    const tree = await fetchSource(source, {
      directory: files.source,
      storage: parts.options.storage,
      limits: defaultSourceLimits,
      // The inspection reads only small files.
      settings: { ...settings, lfs: 'ignore' },
      unpackerFile: parts.options.unpackerFile,
      ...(signal ? { signal } : {}),
    })
    const detection = await detect(tree.directory, settings)
    return { report: detection.report, plan: makePlan(detection, settings), commit: tree.commit }
  } finally {
    await rm(files.directory, { recursive: true, force: true })
  }
}

async function artifactExists(options: BuilderOptions, engine: Engine | null, artifact: Artifact): Promise<boolean> {
  if (artifact.kind === 'bundle') return (await options.storage.stat(artifact.digest)) !== null
  if (!engine) return false
  try {
    await engineCall('looking for the image', 10_000, () => engine.getImage(artifact.digest).inspect())
    return true
  } catch (error) {
    if (isAppError(error) && error.code === 'ERR_NOT_FOUND') return false
    throw error
  }
}

async function downloadArtifact(parts: BuilderParts, artifact: Artifact): Promise<NodeJS.ReadableStream> {
  const { tar, strip, close } = await openArtifact(parts, artifact)
  const zip = zipOfTar(tar, strip)
  zip.once('close', close)
  return zip
}

async function removeArtifact(parts: BuilderParts, artifact: Artifact): Promise<void> {
  if (artifact.kind === 'bundle') return parts.options.storage.remove(artifact.digest)
  const { engine } = parts
  if (engine) await removeImage(engine, artifact.digest)
}

/** Removes an image with all its tags. No error if it does not exist. */
async function removeImage(engine: Engine, id: string): Promise<void> {
  try {
    await engineCall('removing the image', removeDeadlineMs, () => engine.getImage(id).remove({ force: true }))
  } catch (error) {
    if (!isAppError(error) || error.code !== 'ERR_NOT_FOUND') throw error
  }
}

const owned = (installationId: string, ...more: string[]) => ({ label: [`switchyard.installationId=${installationId}`, ...more] })

async function removeContainers(engine: Engine, installationId: string, deploymentId: string): Promise<void> {
  const filters = owned(installationId, `switchyard.deploymentId=${deploymentId}`, 'switchyard.role=build')
  const found = await engineCall('listing build containers', removeDeadlineMs, () => engine.listContainers({ all: true, filters }))
  for (const { Id } of found) {
    try {
      await engineCall('removing a build container', removeDeadlineMs, () => engine.getContainer(Id).remove({ force: true, v: true }))
    } catch (error) {
      if (!isAppError(error) || error.code !== 'ERR_NOT_FOUND') throw error
    }
  }
}

async function removeProjectImages(engine: Engine, installationId: string, projectId: string): Promise<void> {
  const filters = owned(installationId, `switchyard.projectId=${projectId}`)
  for (const { Id } of await engineCall('listing images', removeDeadlineMs, () => engine.listImages({ filters }))) await removeImage(engine, Id)
}
