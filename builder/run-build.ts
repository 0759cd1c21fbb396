import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { BuildPlan } from '@/shared/build-plan'
import { AppError, isAppError } from '@/shared/errors'
import { diskFullError, isDiskFull } from '@/shared/node/disk'
import type { Artifact } from '@/shared/release'
import type { BuildEvents, BuildOutcome, BuildRequest, BuildStep, SourceTree } from './builder'
import { buildKey, type EnvHash } from './cache/key'
import type { createWorkspaces, Workspace } from './cache/workspace'
import { detect } from './detect'
import type { Engine } from './engine'
import type { Confinement } from './execute/confinement'
import { buildInContainer } from './execute/container'
import { refuseOnTightDisk, removeWritten, watchDisk } from './execute/disk'
import { buildFromDockerfile } from './execute/dockerfile'
import { buildOnHost } from './execute/host'
import type { BuildIsolation } from './execute/isolation'
import { abortReason, type BuildJob } from './execute/job'
import { BuildLog } from './execute/log'
import { defaultNetwork } from './execute/network'
import type { TreeOwner } from './execute/sync'
import { type BaseImages, pulledVersion, type Tools } from './images'
import type { BuilderOptions } from './options'
import { makePlan } from './plan'
import { readSourceRules, warningText } from './rules'
import { defaultSourceLimits, fetchSource } from './source'

/** Parts that all builds share, created once by `createBuilder`. */
export interface BuilderParts {
  options: BuilderOptions
  caFile: string | null
  isolation: BuildIsolation
  engine: Engine | null
  images: BaseImages | null
  tools: Tools
  buildNetwork: (() => Promise<string>) | null
  /** null: no engine. */
  confinement: Confinement | null
  /** The engine's image directories on this machine; empty without an engine. */
  engineDirectory(): Promise<string[]>
  envHash: EnvHash
  workspaces: ReturnType<typeof createWorkspaces>
  buildUser: (workspace: string) => Promise<TreeOwner | null>
  artifactExists(artifact: Artifact): Promise<boolean>
}

/** Runs work as a recorded step. */
type Recorded = <T>(step: BuildStep, work: () => Promise<T>, detail: (result: T) => string) => Promise<T>

/** Owner of files in build containers if we are root; otherwise containers run as our own user. */
const containerOwner = async (): Promise<TreeOwner | null> => (process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : null)

/** Files of a running build outside the project's workspace. */
export const buildFiles = (home: string, deploymentId: string) => ({
  source: path.join(home, 'builds', 'running', deploymentId, 'source'),
  directory: path.join(home, 'builds', 'running', deploymentId),
  record: path.join(home, 'builds', 'running', deploymentId, 'process.json'),
})

/** Outside the mirror, which can be deleted at any time: a forgotten host key would be accepted again from anybody. */
export const knownHostsFile = (home: string, projectId: string): string => path.join(home, 'known-hosts', projectId)

export const mirrorDirectory = (home: string, projectId: string): string => path.join(home, 'mirrors', projectId)

/** Runs a build from source to artifact. See `Builder.build`. */
export async function runBuild(parts: BuilderParts, request: BuildRequest, events: BuildEvents, signal: AbortSignal): Promise<BuildOutcome> {
  const timeout = AbortSignal.timeout(request.limits.timeoutMs)
  const log = new BuildLog((line) => events.onLog(line), request.env)
  const files = buildFiles(parts.options.home, request.deploymentId)
  const stop = AbortSignal.any([signal, timeout])
  const recorded: Recorded = async <T>(step: BuildStep, work: () => Promise<T>, detail: (result: T) => string): Promise<T> => {
    await events.onStepStart(step)
    try {
      const result = await work()
      await events.onStepEnd(step, { status: 'done', detail: detail(result) })
      return result
    } catch (error) {
      const reason = stop.aborted ? abortReason({ signal, timeout, request }, step) : error
      await events.onStepEnd(step, { status: signal.aborted ? 'canceled' : 'failed', ...(isAppError(reason) ? { detail: reason.message } : {}) })
      throw reason
    }
  }
  await refuseOnTightDisk([parts.options.home, ...(await parts.engineDirectory())])
  await mkdir(files.directory, { recursive: true, mode: 0o700 })
  try {
    const source = await recorded(
      'source',
      () =>
        fetchSource(request.source, {
          directory: files.source,
          storage: parts.options.storage,
          limits: defaultSourceLimits,
          settings: request.settings,
          unpackerFile: parts.options.unpackerFile,
          mirrorDirectory: mirrorDirectory(parts.options.home, request.projectId),
          knownHostsFile: knownHostsFile(parts.options.home, request.projectId),
          signal: stop,
          onLog: (text) => log.system('source', text),
        }),
      (tree) => tree.commit?.sha.slice(0, 12) ?? `${tree.fileCount} files`,
    )
    await events.onSource?.(source)
    const detected = await recorded(
      'detect',
      async () => ({ ...(await describeSource(source, request)), edge: await readSourceRules(source.directory, request.settings) }),
      ({ plan }) => plan.summary,
    )
    await events.onPlan?.(detected.plan)
    log.system('detect', detected.plan.summary)
    for (const warning of detected.report.warnings) log.system('detect', warning)
    const { edge, ...described } = detected
    for (const warning of edge.warnings) log.system('detect', warningText(warning))
    const base = await describeBase(parts, request, detected.plan, recorded)
    const key = buildKey({
      projectId: request.projectId,
      treeId: source.treeId,
      settings: request.settings,
      target: request.target,
      base,
      envHash: parts.envHash(request.env),
    })
    const { treeId, commit, sizeBytes, fileCount } = source
    const outcome = { ...described, source: { treeId, commit, sizeBytes, fileCount }, buildKey: key, edgePolicy: edge.policy }
    const before = request.noCache ? null : await request.reuse(key)
    if (before && (await parts.artifactExists(before)))
      return { ...outcome, artifact: await reportReuse(before, detected.plan, events, log), reused: true }
    return {
      ...outcome,
      artifact: await execute(parts, { request, plan: detected.plan, sourceDirectory: source.directory, log, events, signal, timeout }),
      reused: false,
    }
  } finally {
    await rm(files.directory, { recursive: true, force: true })
  }
}

async function describeSource(source: SourceTree, request: BuildRequest) {
  const detection = await detect(source.directory, request.settings)
  return { report: detection.report, plan: makePlan(detection, request.settings) }
}

/** Description of the base images, for the build key. */
async function describeBase(parts: BuilderParts, request: BuildRequest, plan: BuildPlan, recorded: Recorded): Promise<string[]> {
  if (request.target === 'bundle') return [`node-${(await parts.tools.sharedNode(plan.nodeMajor)).version}`]
  const { images } = parts
  if (!images) throw noEngine()
  // A Dockerfile chooses its own base image.
  if (plan.framework === 'dockerfile') return []
  if (isFilesOnly(plan)) return []
  const find = () => Promise.all([images.run(plan.nodeMajor), images.build(plan.nodeMajor)])
  const [run, build] = images.isPrepared(plan.nodeMajor) ? await find() : await recorded('prepare', find, ([, made]) => made.tag)
  return [run.id, build.id]
}

/** Whether the site needs no build command: then neither image nor engine is needed. */
const isFilesOnly = (plan: BuildPlan): boolean => plan.staticSite !== null && plan.commands.length === 0

/** Records the steps as done without work, so that all deployments show the same steps. */
async function reportReuse(artifact: Artifact, plan: BuildPlan, events: BuildEvents, log: BuildLog): Promise<Artifact> {
  const steps: BuildStep[] = plan.framework === 'dockerfile' ? ['build'] : [...new Set(plan.commands.map((command) => command.step)), 'package']
  for (const step of steps) {
    await events.onStepStart(step)
    log.system(step, 'Nothing has changed since an earlier build: its result is used.')
    await events.onStepEnd(step, { status: 'done', cached: true })
  }
  return artifact
}

async function execute(parts: BuilderParts, input: Omit<BuildJob, 'workspace' | 'diskFull' | 'checkDisk'>): Promise<Artifact> {
  const { request, plan } = input
  const image = request.target === 'image'
  if (!image && plan.framework === 'dockerfile')
    throw new AppError('ERR_BUILD', 'A Dockerfile needs a container engine, and this Switchyard runs apps as processes.', {
      step: 'build',
      nextAction: 'Start Docker on this machine and set SWITCHYARD_RUNTIME to "docker", or remove the Dockerfile.',
    })
  const ownerOf = image ? containerOwner : parts.buildUser
  const kind = image ? 'container' : 'host'
  const workspace = await parts.workspaces.acquire(request.projectId, request.isolatedAs ? `${request.isolatedAs}-${kind}` : kind, ownerOf, {
    empty: request.noCache === true,
  })
  if (request.noCache) input.log.system(plan.commands[0]?.step ?? 'build', 'Without cache: nothing of earlier builds is used.')
  const disk = watchDisk([workspace.directory, ...(image ? await parts.engineDirectory() : [])])
  try {
    return await executeIn(parts, { ...input, diskFull: disk.signal, checkDisk: disk.check, workspace }, workspace)
  } catch (error) {
    if (!disk.signal.aborted && !isDiskFull(error)) throw error
    await removeWritten(workspace.directory)
    throw isAppError(error) ? error : diskFullError('The build failed', error)
  } finally {
    disk.stop()
    workspace.release()
  }
}

async function executeIn(parts: BuilderParts, job: BuildJob, workspace: Workspace): Promise<Artifact> {
  const { request, plan } = job
  const { engine, images, options, caFile } = parts
  const common = { installationId: options.installationId, hostEnv: options.hostEnv, caFile, staticServerFile: options.staticServerFile }
  const onHost = { ...common, home: options.home, isolation: parts.isolation, storage: options.storage }
  if (request.target === 'image' && plan.framework === 'dockerfile') {
    if (!engine || !images || !parts.confinement) throw noEngine()
    const { confinement } = parts
    const ensureBase = (major: number) => Promise.all([images.run(major), images.build(major)])
    return buildFromDockerfile(job, { engine, installationId: options.installationId, envHash: parts.envHash, confinement, ensureBase })
  }
  if (isFilesOnly(plan)) {
    const recordFile = buildFiles(options.home, request.deploymentId).record
    const host = { ...onHost, nodeBinary: options.nodeBinary, nodeVersion: null, packageManagerDirectory: null, recordFile }
    return buildOnHost(job, host, { skip: new Set() })
  }
  const skip = await workspace.installed(job.sourceDirectory, plan, parts.envHash(installVariables(request.env)))
  const packageManagerDirectory = await parts.tools.packageManager(plan.packageManager, plan.packageManagerVersion)
  if (request.target === 'bundle') {
    const node = await parts.tools.sharedNode(plan.nodeMajor)
    const recordFile = buildFiles(options.home, request.deploymentId).record
    return buildOnHost(job, { ...onHost, nodeBinary: node.binary, nodeVersion: node.version, packageManagerDirectory, recordFile }, { skip })
  }
  if (!engine || !images || !parts.buildNetwork) throw noEngine()
  const [runImage, buildImage, network] = await Promise.all([images.run(plan.nodeMajor), images.build(plan.nodeMajor), parts.buildNetwork()])
  const nodeVersion = pulledVersion(runImage) ?? (await parts.tools.nodeVersion(plan.nodeMajor))
  const confined = network === defaultNetwork ? await parts.confinement?.beginOnDefaultBridge() : undefined
  try {
    return await buildInContainer(
      job,
      { ...common, storage: options.storage, engine, runImage, buildImage, nodeVersion, network, packageManagerDirectory },
      { skip },
    )
  } finally {
    await confined?.end()
  }
}

/** Variables that package managers read, including registry tokens: a changed value requires a new install. */
function installVariables(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(node_|npm_|pnpm_|yarn_)|token|auth|registry/i.test(name)))
}

function noEngine(): AppError {
  return new AppError('ERR_UNAVAILABLE', 'There is no container engine to build an image with.', {
    nextAction: 'Start Docker, or set SWITCHYARD_RUNTIME to "process".',
  })
}
