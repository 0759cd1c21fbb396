import path from 'node:path'
import { PassThrough } from 'node:stream'
import type Docker from 'dockerode'
import { type Engine, engineCall } from '@/builder/engine'
import type { BaseImage } from '@/builder/images'
import { type HostEnv, networkEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import type { Artifact } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { collectOutputs, underDirectory } from './archive'
import { packageBundle } from './host'
import { loadLayer } from './image'
import {
  abortReason,
  type BuildJob,
  buildEnvironment,
  firstAbort,
  type InstallDecision,
  idleSandbox,
  runCommands,
  type Sandbox,
  stopSignals,
} from './job'
import { maxLogBytes } from './log'
import { type BuildOutput, openOutput } from './output'
import { packageManagerIn, platformFiles } from './platform-files'
import { StepChannel, stepScript } from './steps'

export interface ContainerExecutor {
  engine: Engine
  storage: BlobStore
  installationId: string
  buildImage: BaseImage
  runImage: BaseImage
  /** Node version of both images. */
  nodeVersion: string
  hostEnv: HostEnv
  caFile: string | null
  /** Directory whose `.bin` contains pnpm or yarn; null: not needed. */
  packageManagerDirectory: string | null
  staticServerFile: string
  /** Network of the build container. */
  network: string
}

/** Labels of every container and image of a build; objects without these labels are never changed. */
export function buildLabels(installationId: string, request: BuildJob['request']): Record<string, string> {
  return {
    'switchyard.installationId': installationId,
    'switchyard.teamId': request.teamId,
    'switchyard.projectId': request.projectId,
    'switchyard.deploymentId': request.deploymentId,
    'switchyard.role': 'build',
  }
}

// Checkout and HOME share one mount, because package managers create hard links from their store.
const mount = '/build'
const outputMount = `${mount}/output`
const toolsMount = '/opt/switchyard/tools'
const caMount = '/etc/switchyard-ca.crt'
const callDeadlineMs = 30_000
const scratchBytes = 2 * 1024 ** 3
const memoryEvents = ['/sys/fs/cgroup/memory/memory.oom_control', '/sys/fs/cgroup/memory.events']
const pidsEvents = ['/sys/fs/cgroup/pids/pids.events', '/sys/fs/cgroup/pids.events']

/** Runs the plan in a hardened container and packs its outputs as one layer on the run image. */
export async function buildInContainer(job: BuildJob, executor: ContainerExecutor, decision: InstallDecision): Promise<Artifact> {
  const idle = job.plan.commands.every((command) => decision.skip.has(command))
  const sandbox: FreezableSandbox = idle ? { ...idleSandbox, freeze: async () => {} } : await startWhileSyncing(job, executor)
  if (idle) await job.workspace.sync(job.sourceDirectory, job.plan)
  try {
    await runCommands(job, sandbox, decision)
    if (job.plan.staticSite === null) return await packageImage(job, executor, sandbox)
    // Routers serve these files directly, so no image is needed.
    await sandbox.kill()
    return await packageBundle(job, executor)
  } finally {
    await sandbox.kill()
  }
}

type FreezableSandbox = Sandbox & { freeze(): Promise<void> }

/** Starts the container while the checkout is updated; the container waits for its first input line. */
async function startWhileSyncing(job: BuildJob, executor: ContainerExecutor): Promise<FreezableSandbox> {
  const [started, synced] = await Promise.allSettled([startContainer(job, executor), job.workspace.sync(job.sourceDirectory, job.plan)])
  if (started.status === 'rejected') throw started.reason
  if (synced.status === 'fulfilled') return started.value
  await started.value.kill()
  throw synced.reason
}

function containerOptions(job: BuildJob, executor: ContainerExecutor, argv: string[]): Docker.ContainerCreateOptions {
  const { limits } = job.request
  const bin = `${mount}/checkout/${job.plan.rootDirectory}/node_modules/.bin`
  const base = {
    PATH: [`${toolsMount}/.bin`, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', bin].join(':'),
    HOME: `${mount}/home`,
    LANG: 'C.UTF-8',
    ...networkEnv(executor.hostEnv, executor.caFile ? caMount : null),
  }
  const owner = job.workspace.owner ?? { uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 }
  return {
    name: `switchyard-build-${job.request.deploymentId}`,
    Image: executor.buildImage.id,
    Entrypoint: [],
    Cmd: argv,
    Env: Object.entries(buildEnvironment(job, base)).map(([key, value]) => `${key}=${value}`),
    WorkingDir: mount,
    User: `${owner.uid}:${owner.gid}`,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Labels: buildLabels(executor.installationId, job.request),
    HostConfig: {
      Binds: [
        `${job.workspace.checkout}:${mount}/checkout`,
        `${job.workspace.home}:${mount}/home`,
        `${job.workspace.output}:${outputMount}`,
        ...(executor.packageManagerDirectory ? [`${executor.packageManagerDirectory}:${toolsMount}:ro`] : []),
        ...(executor.caFile ? [`${executor.caFile}:${caMount}:ro`] : []),
      ],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      NanoCpus: Math.round(limits.cpus * 1e9),
      // Low priority: apps get the CPU before builds.
      CpuShares: 256,
      PidsLimit: limits.pids,
      Init: true,
      Tmpfs: { '/tmp': `rw,exec,nosuid,size=${Math.min(scratchBytes, limits.memoryBytes)}` },
      LogConfig: { Type: 'none', Config: {} },
      NetworkMode: executor.network,
    },
  }
}

async function startContainer(job: BuildJob, executor: ContainerExecutor): Promise<FreezableSandbox> {
  const { engine } = executor
  const output = await openOutput(job.workspace.output, job.workspace.owner, { maxBytes: maxLogBytes, onFlood: () => job.log.stopFlood() })
  const script = stepScript({
    directory: `${mount}/checkout/${job.plan.rootDirectory}`,
    output: outputMount,
    memoryEvents,
    pidsEvents,
    commands: job.plan.commands.map((command) => command.command),
  })
  let container: Docker.Container | null = null
  try {
    const made = await engineCall('creating the build container', callDeadlineMs, () =>
      engine.createContainer(containerOptions(job, executor, script)),
    )
    container = made
    const stream = await engineCall('attaching to the build container', callDeadlineMs, () =>
      made.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true }),
    )
    const channel = new StepChannel(stream, output)
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    stdout.on('data', (chunk: Buffer) => channel.feed('stdout', chunk))
    stderr.on('data', (chunk: Buffer) => channel.feed('stderr', chunk))
    engine.modem.demuxStream(stream, stdout, stderr)
    await engineCall('starting the build container', callDeadlineMs, () => made.start())
    const ended = awaitEnd(stream, made, channel)
    return containerSandbox(made, channel, output, ended)
  } catch (error) {
    await output.close()
    if (container) await removeContainer(container)
    throw error
  }
}

/** Waits for the end of the container, or of its attached stream: a lost connection ends the build too. */
async function awaitEnd(stream: NodeJS.ReadWriteStream, container: Docker.Container, channel: StepChannel): Promise<{ outOfMemory: boolean }> {
  await new Promise<void>((resolve) => {
    stream
      .once('close', resolve)
      .once('end', resolve)
      .once('error', () => resolve())
  })
  try {
    const { State } = await engineCall('reading how the build container ended', callDeadlineMs, () => container.inspect())
    if (State.Running)
      throw new AppError('ERR_INTERRUPTED', 'The connection to the build container was lost.', { step: 'build', nextAction: 'Deploy again.' })
    channel.closed(State.ExitCode)
    return { outOfMemory: State.OOMKilled }
  } catch (error) {
    channel.fail(interrupted(error))
    return { outOfMemory: false }
  }
}

/** The error when the container was removed or the engine became unavailable: not caused by the project. */
function interrupted(error: unknown): AppError {
  if (error instanceof AppError && error.code !== 'ERR_NOT_FOUND') return error
  return new AppError('ERR_INTERRUPTED', 'The build container was removed while it ran.', {
    step: 'build',
    nextAction: 'Deploy again.',
    cause: error,
  })
}

function containerSandbox(
  container: Docker.Container,
  channel: StepChannel,
  output: BuildOutput,
  ended: Promise<{ outOfMemory: boolean }>,
): FreezableSandbox {
  let removed: Promise<void> | null = null
  return {
    run: (onLine) => channel.run(onLine),
    skip: () => channel.skip(),
    outOfMemory: async () => (await ended).outOfMemory,
    freeze: () => engineCall('pausing the build container', callDeadlineMs, () => container.pause()),
    kill: () => {
      removed ??= removeContainer(container).finally(() => output.close())
      return removed
    },
  }
}

async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await engineCall('removing the build container', callDeadlineMs, () => container.remove({ force: true, v: true }))
  } catch (error) {
    // The container is gone, or is being removed.
    if (error instanceof AppError && (error.code === 'ERR_NOT_FOUND' || error.code === 'ERR_CONFLICT')) return
    throw error
  }
}

/** Packs the outputs while the container is paused: a remaining process of the build must not exchange files while root reads them. */
async function packageImage(job: BuildJob, executor: ContainerExecutor, sandbox: FreezableSandbox): Promise<Artifact> {
  const { plan, request, events, log } = job
  await events.onStepStart('package')
  const aborted = firstAbort(stopSignals(job))
  const controller = new AbortController()
  void aborted.promise.then(() => controller.abort())
  try {
    await sandbox.freeze()
    const entries = await collectOutputs(
      job.workspace.checkout,
      path.join(job.workspace.checkout, plan.rootDirectory),
      plan.outputs,
      await platformFiles(plan, executor),
      // Others may be of the base image: /usr/share, /etc/ssl.
      (target) => target.startsWith(`${mount}/`) || target === mount,
    )
    const tag = `switchyard/${request.projectSlug}:${request.deploymentId}`
    const image = await loadLayer(executor.engine, {
      baseLayers: executor.runImage.layers,
      baseImage: executor.runImage.id,
      entries: underDirectory(entries, 'app'),
      owner: { uid: 1000, gid: 1000 },
      config: imageConfig(job, executor),
      tag,
      signal: controller.signal,
      onRead: () => void sandbox.kill().catch(() => {}),
    })
    log.system('package', `Image ${tag}: ${(image.layerBytes / 1e6).toFixed(1)} MB over ${executor.runImage.tag}.`)
    await events.onStepEnd('package', { status: 'done', detail: tag })
    return {
      kind: 'image',
      digest: image.id,
      sizeBytes: image.layerBytes,
      framework: plan.framework,
      start: plan.start,
      port: plan.port,
      healthCheckPath: plan.healthCheckPath,
      nodeVersion: executor.nodeVersion,
      packageManager: await packageManagerIn(plan, executor.packageManagerDirectory),
    }
  } catch (error) {
    const reason = controller.signal.aborted ? abortReason(job, 'package') : error
    await events.onStepEnd('package', {
      status: job.signal.aborted ? 'canceled' : 'failed',
      ...(reason instanceof AppError ? { detail: reason.message } : {}),
    })
    throw reason
  } finally {
    aborted.release()
  }
}

/** Configuration of the image. Labels name the project but not the deployment (the tag does), so that equal trees give equal images. */
function imageConfig(job: BuildJob, executor: ContainerExecutor) {
  const { plan, request } = job
  const searchPath = 'PATH=/usr/local/bin:/usr/bin:/bin:/app/node_modules/.bin'
  const inherited = executor.runImage.env.filter((line) => !line.startsWith('PATH='))
  return {
    Env: [searchPath, ...inherited, ...Object.entries(plan.start.env).map(([key, value]) => `${key}=${value}`)],
    Cmd: plan.start.argv,
    Entrypoint: null,
    WorkingDir: '/app',
    User: '1000:1000',
    ExposedPorts: { [`${plan.port}/tcp`]: {} },
    Labels: {
      'switchyard.installationId': executor.installationId,
      'switchyard.teamId': request.teamId,
      'switchyard.projectId': request.projectId,
      'switchyard.role': 'app',
    },
  }
}
