import { type Engine, engineCall, engineStatus, readProgress } from '@/builder/engine'
import { type ImageConfig, loadLayer } from '@/builder/execute/image'
import { type BaseImageSource, type BuildLogger, type HostEnv, networkEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import { type FileFacts, openFileFacts } from './file-facts'
import type { Tools } from './node-binary'
import { rootfsHash, runRootfs, toolsRootfs } from './rootfs'

export { createTools, type Tools } from './node-binary'

/** A base image of builds or apps. */
export interface BaseImage {
  id: string
  tag: string
  layers: string[]
  env: string[]
  /** True: pulled from a registry, so it has a compiler and may lack the CA certificates of this machine. */
  fromRegistry: boolean
}

export interface BaseImages {
  /** Whether both images of this version exist already, so that they are available immediately. */
  isPrepared(major: number): boolean
  /** Image for apps: Node, npm, a shell. Tag `switchyard/node:<major>-slim`. */
  run(major: number): Promise<BaseImage>
  /** Image for builds: `run` with common tools. Tag `switchyard/node:<major>`; a Dockerfile may use `FROM switchyard/node:24`. */
  build(major: number): Promise<BaseImage>
}

export interface BaseImageOptions {
  engine: Engine
  tools: Tools
  /** File for cached facts about this machine's files. */
  factsFile: string
  caFile: string | null
  hostEnv: HostEnv
  source: BaseImageSource
  logger: BuildLogger
}

const caPath = '/etc/ssl/certs/ca-certificates.crt'
const registryDeadlineMs = 3_000
const pullDeadlineMs = 5 * 60_000
const registryMemoryMs = 10 * 60_000
const owner = { uid: 0, gid: 0 }

/** Base images, pulled if a registry responds, else made from this machine's files; cached for the lifetime of the process. */
export function createBaseImages(options: BaseImageOptions): BaseImages {
  const known = new Map<string, Promise<BaseImage>>()
  const prepared = new Set<string>()
  const facts = openFileFacts(options.factsFile)
  const once = (key: string, make: () => Promise<BaseImage>): Promise<BaseImage> => {
    const before = known.get(key) ?? Promise.reject(new Error('not made yet'))
    // Create an image again if it was removed.
    const work = before.then((image) => inspectImage(options.engine, image.id, image.tag).then((still) => still ?? make()), make)
    known.set(key, work)
    work.then(
      () => prepared.add(key),
      () => prepared.delete(key),
    )
    return work
  }
  const registry = rememberedRegistry(options)
  const choose = async (kind: 'run' | 'build', major: number): Promise<BaseImage> => {
    // The two tags may have been pulled on different days, so request the exact version of the run image.
    const exact = kind === 'build' && options.source !== 'local' ? pulledVersion(await once(`run-${major}`, () => choose('run', major))) : null
    const pulled = options.source === 'local' ? null : await registry(`node:${exact ?? major}${kind === 'run' ? '-slim' : ''}`)
    if (pulled) return pulled
    if (options.source === 'registry')
      throw new AppError('ERR_UNAVAILABLE', 'The image registry does not answer.', {
        nextAction: 'Set the base image setting to "auto" or "local", or check the registry.',
      })
    if (kind === 'build') return localBuild(options, await facts, major, await once(`run-${major}`, () => choose('run', major)))
    return localRun(options, await facts, major)
  }
  return {
    isPrepared: (major) => prepared.has(`run-${major}`) && prepared.has(`build-${major}`),
    run: (major) => once(`run-${major}`, () => choose('run', major)),
    build: (major) => once(`build-${major}`, () => choose('build', major)),
  }
}

/** Node version of a pulled image, from its environment. */
export function pulledVersion(image: BaseImage): string | null {
  return image.env.find((line) => line.startsWith('NODE_VERSION='))?.slice('NODE_VERSION='.length) ?? null
}

async function localRun(options: BaseImageOptions, facts: FileFacts, major: number): Promise<BaseImage> {
  const entries = await runRootfs(await options.tools.node(major), options.caFile, facts)
  return ensure(options, facts, `switchyard/node:${major}-slim`, { layers: [], env: [], baseImage: null }, entries)
}

async function localBuild(options: BaseImageOptions, facts: FileFacts, major: number, below: BaseImage): Promise<BaseImage> {
  const entries = await toolsRootfs(await runRootfs(await options.tools.node(major), options.caFile, facts), facts)
  return ensure(options, facts, `switchyard/node:${major}`, { layers: below.layers, env: below.env, baseImage: below.id }, entries)
}

type Below = { layers: string[]; env: string[]; baseImage: string | null }

async function ensure(
  options: BaseImageOptions,
  facts: FileFacts,
  tag: string,
  below: Below,
  entries: Parameters<typeof rootfsHash>[0],
): Promise<BaseImage> {
  const hash = await rootfsHash(entries, facts)
  await facts.save()
  const { engine, logger } = options
  const config: ImageConfig = {
    Env: [
      'PATH=/usr/local/bin:/usr/bin:/bin',
      'LANG=C.UTF-8',
      ...(options.caFile ? Object.entries(networkEnv({}, caPath)).map(([key, value]) => `${key}=${value}`) : []),
    ],
    Cmd: ['node'],
    Entrypoint: null,
    WorkingDir: '/app',
    // Root, as in official images: a Dockerfile based on this image may install packages. Artifacts set their own user.
    User: '',
    Labels: { 'switchyard.base': `${hash}${below.baseImage ? `-${below.baseImage.slice(7, 19)}` : ''}` },
  }
  const there = await inspectImage(engine, tag, tag)
  if (there && there.base === config.Labels['switchyard.base']) return there
  logger.info({ tag, entries: entries.length }, 'making a base image')
  await loadLayer(engine, { baseLayers: below.layers, baseImage: below.baseImage, entries, owner, config, tag })
  const made = await inspectImage(engine, tag, tag)
  if (!made) throw new AppError('ERR_UNAVAILABLE', `The container engine took the base image ${tag}, but does not show it.`)
  return made
}

async function inspectImage(engine: Engine, name: string, tag: string): Promise<(BaseImage & { base: string | null }) | null> {
  try {
    const found = await engineCall(`looking for ${tag}`, 10_000, () => engine.getImage(name).inspect())
    const base = found.Config.Labels?.['switchyard.base'] ?? null
    return { id: found.Id, tag, layers: found.RootFS.Layers ?? [], env: found.Config.Env ?? [], fromRegistry: base === null, base }
  } catch (error) {
    if (error instanceof AppError && error.code === 'ERR_NOT_FOUND') return null
    throw error
  }
}

/** Asks the registry with a short deadline and caches a failure for ten minutes, so that builds do not wait for an unreachable registry. */
function rememberedRegistry(options: BaseImageOptions): (reference: string) => Promise<BaseImage | null> {
  let silentUntil = 0
  return async (reference) => {
    const there = await inspectImage(options.engine, reference, reference)
    if (there) return there
    if (Date.now() < silentUntil) return null
    try {
      await engineCall('asking the image registry', registryDeadlineMs, (abortSignal) =>
        options.engine.getImage(reference).distribution({ abortSignal }),
      )
      const stream = await engineCall(`pulling ${reference}`, pullDeadlineMs, (abortSignal) => options.engine.pull(reference, { abortSignal }))
      await engineCall(`pulling ${reference}`, pullDeadlineMs, () => readProgress(`pulling ${reference}`, stream))
      return await inspectImage(options.engine, reference, reference)
    } catch (error) {
      silentUntil = Date.now() + registryMemoryMs
      options.logger.info(
        { reference, status: engineStatus(error), reason: String(error) },
        'no image registry: base images are made from this machine',
      )
      return null
    }
  }
}
