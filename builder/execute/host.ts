import { constants } from 'node:fs'
import { access, chmod, mkdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { type HostEnv, networkEnv } from '@/builder/options'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { confine, mountProblem, type PrivateMounts } from '@/shared/node/confined'
import { baseEnv, start } from '@/shared/node/exec'
import type { Artifact } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { collectOutputs } from './archive'
import { storeBundle } from './bundle'
import { type ControlGroup, createControlGroup, type HostBuildRecord, killHostBuild, processStartTime, removeRecord } from './host-process'
import type { BuildIsolation } from './isolation'
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

export interface HostExecutor {
  storage: BlobStore
  installationId: string
  /** `$SWITCHYARD_HOME`. */
  home: string
  isolation: BuildIsolation
  /** Node binary of the plan's major version. */
  nodeBinary: string
  /** Version of that Node; null: the artifact does not run on Node. */
  nodeVersion: string | null
  hostEnv: HostEnv
  caFile: string | null
  packageManagerDirectory: string | null
  staticServerFile: string
  /** Record of the running build, for `cleanUp` after a crash. */
  recordFile: string
}

/**
 * Runs the plan on the host: as root with a user and a file system view of its own, in a control group if permitted, and with a clean
 * environment. Weaker than a container, because the files of the host are readable.
 */
export async function buildOnHost(job: BuildJob, executor: HostExecutor, decision: InstallDecision): Promise<Artifact> {
  await job.workspace.sync(job.sourceDirectory, job.plan)
  const idle = job.plan.commands.every((command) => decision.skip.has(command))
  const { owner } = job.workspace
  if (owner && !idle) await checkTraversable(job.workspace.directory)
  const open = idle || !owner ? null : await executor.isolation.close(owner.uid)
  if (!idle && open?.weakness !== null) job.log.system(job.plan.commands[0]?.step ?? 'build', `Attention: ${open?.weakness ?? notRoot}.`)
  const sandbox = idle ? idleSandbox : await startProcess(job, executor)
  try {
    await runCommands(job, sandbox, decision)
    // Stop all processes before the tree is read: a remaining process of the build must not exchange files while root reads them.
    await sandbox.kill()
    return await packageBundle(job, executor)
  } finally {
    await sandbox.kill()
    await open?.release()
  }
}

const notRoot = 'builds run as your own user, and reach every port of this machine'

/** Checks that the build's user can traverse all parent directories. */
async function checkTraversable(directory: string): Promise<void> {
  for (let at = path.dirname(directory); at !== '/'; at = path.dirname(at)) {
    const { mode } = await stat(at)
    if (mode & 0o001) continue
    // We may make `$SWITCHYARD_HOME` traversable (not listable), but not its parents.
    if (await ownedByUs(at)) await chmod(at, (mode & 0o777) | 0o011)
    else
      throw new AppError('ERR_UNAVAILABLE', `Builds run as a user of their own, who cannot enter ${at}.`, {
        nextAction: 'Set SWITCHYARD_HOME to a directory whose parents everybody may enter, such as /var/lib/switchyard.',
      })
  }
}

// Whether we may change a directory: never a person's home directory (/root, /home/x).
async function ownedByUs(directory: string): Promise<boolean> {
  const there = await stat(path.join(directory, 'builds')).then(
    (found) => found.isDirectory(),
    () => false,
  )
  return (
    there &&
    (await access(directory, constants.W_OK).then(
      () => true,
      () => false,
    ))
  )
}

const markName = 'SWITCHYARD_BUILD'

async function startProcess(job: BuildJob, executor: HostExecutor): Promise<Sandbox> {
  const { limits, deploymentId } = job.request
  const { owner, checkout, home } = job.workspace
  const root = path.join(checkout, job.plan.rootDirectory)
  const control = await createControlGroup(`build-${executor.installationId.slice(0, 8)}-${deploymentId}`, limits)
  if (!control)
    job.log.system(
      job.plan.commands[0]?.step ?? 'build',
      'Control groups are not writable here: limits hold for each process, not for the build as a whole.',
    )
  const output = await openOutput(job.workspace.output, owner, { maxBytes: maxLogBytes, onFlood: () => job.log.stopFlood() })
  const script = stepScript({
    directory: root,
    output: output.directory,
    memoryEvents: control?.memoryEvents ?? [],
    pidsEvents: control?.pidsEvents ?? [],
    commands: job.plan.commands.map((command) => command.command),
  })
  const bin = [
    path.dirname(executor.nodeBinary),
    ...(executor.packageManagerDirectory ? [path.join(executor.packageManagerDirectory, '.bin')] : []),
    baseEnv.PATH,
    path.join(root, 'node_modules/.bin'),
  ]
  const env = buildEnvironment(job, {
    ...baseEnv,
    PATH: bin.join(':'),
    HOME: home,
    TMPDIR: home,
    SHELL: '/bin/sh',
    ...networkEnv(executor.hostEnv, executor.caFile),
    [markName]: deploymentId,
  })
  const command = confine(
    { argv: script, cwd: checkout, env, gated: false, mark: { [markName]: deploymentId } },
    {
      user: owner,
      groups: control?.directories ?? [],
      rlimits: control ? [] : [`--data=${limits.memoryBytes}`, ...(owner ? [`--nproc=${limits.pids}`] : [])],
      mounts: owner ? await buildMounts(job, executor.home) : null,
    },
  )
  const child = start(command.argv, { cwd: '/', env: command.env as NodeJS.ProcessEnv, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  return superviseProcess(child, output, control, executor, { uid: owner?.uid ?? null, mark: `${markName}=${deploymentId}` })
}

/** The same size as for a build in a container. */
const scratchBytes = 2 * 1024 ** 3

/** Checkout and HOME share one mount, because package managers create hard links from their store. null: mounts are not possible. */
async function buildMounts(job: BuildJob, home: string): Promise<PrivateMounts | null> {
  const { directory } = job.workspace
  const scratch = path.join(directory, 'scratch')
  await mkdir(scratch, { recursive: true, mode: 0o711 })
  const problem = await mountProblem(scratch, home)
  if (problem === null)
    return { home, scratch, scratchBytes: Math.min(scratchBytes, job.request.limits.memoryBytes), writable: [directory], volatile: [] }
  job.log.system(job.plan.commands[0]?.step ?? 'build', `This build shares /tmp with the machine, because nothing can be mounted here (${problem}).`)
  return null
}

async function superviseProcess(
  child: ReturnType<typeof start>,
  output: BuildOutput,
  control: ControlGroup | null,
  executor: HostExecutor,
  identity: Pick<HostBuildRecord, 'uid' | 'mark'>,
): Promise<Sandbox> {
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout || !stderr) throw new AppError('ERR_INTERNAL', 'the build process has no pipes')
  const channel = new StepChannel(stdin, output)
  stdout.on('data', (chunk: Buffer) => channel.feed('stdout', chunk))
  stderr.on('data', (chunk: Buffer) => channel.feed('stderr', chunk))
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      channel.closed(code)
      resolve()
    })
    child.once('error', () => {
      channel.closed(null)
      resolve()
    })
  })
  const { pid } = child
  if (pid === undefined) {
    await output.close()
    await control?.remove()
    throw new AppError('ERR_UNAVAILABLE', 'The build process could not be started.', {
      nextAction: 'Check that this machine has /bin/sh and free processes.',
    })
  }
  const record: HostBuildRecord = { pid, startTime: (await processStartTime(pid)) ?? '', ...identity, groups: control?.directories ?? [] }
  // The process waits for its first input line, so that the record exists before anything of the project runs.
  await writeFileAtomic(executor.recordFile, JSON.stringify(record))
  let killed: Promise<void> | null = null
  const kill = async () => {
    await killHostBuild(record)
    await exited
    for (const pipe of [stdin, stdout, stderr]) pipe.destroy()
    await output.close()
    await removeRecord(executor.recordFile)
  }
  return {
    run: (onLine) => channel.run(onLine),
    skip: () => channel.skip(),
    outOfMemory: async () => false,
    kill: () => {
      killed ??= kill()
      return killed
    },
  }
}

/** Kills the processes of a record, after the control process that started them has died. */
export async function cleanUpHostBuild(recordFile: string): Promise<void> {
  const text = await readFile(recordFile, 'utf8').catch(() => null)
  if (text === null) return
  await killHostBuild(JSON.parse(text) as HostBuildRecord)
  await removeRecord(recordFile)
}

/** Packs the outputs into the storage. Nothing of the build may run by then. */
export async function packageBundle(
  job: BuildJob,
  executor: Pick<HostExecutor, 'storage' | 'staticServerFile' | 'nodeVersion' | 'packageManagerDirectory'>,
): Promise<Artifact> {
  const { plan, events, log } = job
  await events.onStepStart('package')
  const controller = new AbortController()
  const aborted = firstAbort(stopSignals(job))
  void aborted.promise.then(() => controller.abort())
  try {
    const entries = await collectOutputs(
      job.workspace.checkout,
      path.join(job.workspace.checkout, plan.rootDirectory),
      plan.outputs,
      await platformFiles(plan, executor),
    )
    const bundle = await storeBundle(executor.storage, entries, controller.signal)
    log.system('package', `Bundle of ${entries.length} entries, ${(bundle.sizeBytes / 1e6).toFixed(1)} MB.`)
    await events.onStepEnd('package', { status: 'done', detail: bundle.digest })
    return {
      kind: 'bundle',
      ...bundle,
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
