import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import ignore from 'ignore'
import type { EnvHash } from '@/builder/cache/key'
import { type Engine, engineCall } from '@/builder/engine'
import type { PlanCommand } from '@/shared/build-plan'
import { AppError, isAppError } from '@/shared/errors'
import type { Artifact } from '@/shared/release'
import { type ArchiveEntry, archiveBytes, collectOutputs } from './archive'
import type { GroupEvidence } from './build-groups'
import { buildImage, type ImageBuildEvent } from './buildkit'
import type { Confinement } from './confinement'
import { commandFailure, quote } from './failure'
import { abortReason, type BuildJob, firstAbort, stopSignals } from './job'
import { LineSplitter } from './log'

export interface DockerfileExecutor {
  engine: Engine
  installationId: string
  envHash: EnvHash
  confinement: Confinement
  /** Creates `switchyard/node:<major>` (and `-slim`) for a Dockerfile that uses it. */
  ensureBase(major: number): Promise<unknown>
}

const ownBase = /switchyard\/node:(\d+)/g

/** Builds the project's Dockerfile with BuildKit. Build variables are BuildKit secrets (`RUN --mount=type=secret,id=KEY`), never arguments. */
export async function buildFromDockerfile(job: BuildJob, executor: DockerfileExecutor): Promise<Artifact> {
  const { request, plan, events, log } = job
  const root = path.join(job.sourceDirectory, plan.rootDirectory)
  const dockerfile = plan.dockerfile ?? 'Dockerfile'
  const text = await readDockerfile(root, dockerfile)
  await events.onStepStart('build')
  log.startStep()
  const stopped = firstAbort(stopSignals(job))
  const controller = new AbortController()
  void stopped.promise.then(() => controller.abort())
  try {
    for (const match of text.matchAll(ownBase)) await executor.ensureBase(Number(match[1]))
    const id = await runConfined(job, executor, { root, dockerfile, text }, controller.signal)
    const artifact = await describe(job, executor.engine, id)
    await events.onStepEnd('build', { status: 'done', detail: `switchyard/${request.projectSlug}:${request.deploymentId}` })
    return artifact
  } catch (error) {
    await job.checkDisk()
    const reason = stopSignals(job).some((signal) => signal.aborted) ? abortReason(job, 'build') : error
    await events.onStepEnd('build', { status: job.signal.aborted ? 'canceled' : 'failed', ...(isAppError(reason) ? { detail: reason.message } : {}) })
    throw reason
  } finally {
    log.endStep()
    stopped.release()
  }
}

/** Runs a build with the same limits and isolation as builds in a container. */
async function runConfined(job: BuildJob, executor: DockerfileExecutor, file: DockerfileText, signal: AbortSignal): Promise<string> {
  const confined = await executor.confinement.begin(job.request.limits, (text) => job.log.system('build', text))
  try {
    return await runBuild(job, executor, file, signal)
  } catch (error) {
    throw explained(job, error, confined.evidence())
  } finally {
    await confined.end()
  }
}

interface DockerfileText {
  root: string
  dockerfile: string
  text: string
}

async function runBuild(job: BuildJob, executor: DockerfileExecutor, file: DockerfileText, signal: AbortSignal): Promise<string> {
  const { request, plan, log, workspace } = job
  const entries = await contextEntries(file.root, file.dockerfile)
  // BuildKit does not invalidate its cache when a secret changes.
  const secretsHash = /--mount=\S*type=secret/.test(file.text) ? executor.envHash(request.env) : null
  const secretsChanged = secretsHash !== null && ((await workspace.readNote('secrets')) ?? secretsHash) !== secretsHash
  const noCache = request.noCache === true || secretsChanged || (await workspace.isCacheCleared())
  const output = {
    stdout: new LineSplitter((line) => log.line('build', 'stdout', line)),
    stderr: new LineSplitter((line) => log.line('build', 'stderr', line)),
  }
  const onEvent = (event: ImageBuildEvent) => {
    if (event.kind === 'output') output[event.stream].push(event.data)
    else log.system('build', event.cached ? `${event.name} (cached)` : event.name)
  }
  const image = await buildImage(
    executor.engine,
    {
      context: archiveBytes(entries, { uid: 0, gid: 0 }),
      dockerfile: file.dockerfile,
      tag: `switchyard/${request.projectSlug}:${request.deploymentId}`,
      buildArgs: plan.buildEnv,
      secrets: request.env,
      labels: {
        'switchyard.installationId': executor.installationId,
        'switchyard.teamId': request.teamId,
        'switchyard.projectId': request.projectId,
        'switchyard.role': 'app',
      },
      noCache,
    },
    signal,
    onEvent,
  )
  for (const splitter of Object.values(output)) splitter.end()
  if (secretsHash !== null) await workspace.writeNote('secrets', secretsHash)
  if (noCache) await workspace.endCacheCleared()
  return image
}

async function readDockerfile(root: string, name: string): Promise<string> {
  const file = path.join(root, name)
  if (
    !(await stat(file).then(
      (found) => found.isFile(),
      () => false,
    ))
  )
    throw new AppError('ERR_BUILD', `There is no "${name}" in the root directory.`, {
      step: 'build',
      nextAction: 'Correct the root directory of the project.',
    })
  return readFile(file, 'utf8')
}

/** Files of the tree, except those in `.dockerignore`. The Dockerfile is always included. */
async function contextEntries(root: string, dockerfile: string): Promise<ArchiveEntry[]> {
  const entries = await collectOutputs(root, root, [{ from: '.', to: '.', exclude: [] }], [], () => false)
  const rules = await readFile(path.join(root, '.dockerignore'), 'utf8').catch(() => '')
  if (!rules.trim()) return entries
  const ignored = ignore().add(rules.split(/\r?\n/).map(anchored))
  return entries.filter((entry) => entry.name === dockerfile || !ignored.ignores(entry.name))
}

/** Converts a pattern: patterns of .dockerignore start at the root; in .gitignore, the format that the library reads, they match anywhere. */
function anchored(rule: string): string {
  const trimmed = rule.trim()
  if (trimmed === '' || trimmed.startsWith('#')) return ''
  const negated = trimmed.startsWith('!')
  const pattern = (negated ? trimmed.slice(1) : trimmed).replace(/^\.?\/+/, '')
  return `${negated ? '!' : ''}${pattern.startsWith('**') ? pattern : `/${pattern}`}`
}

async function describe(job: BuildJob, engine: Engine, id: string): Promise<Artifact> {
  const { plan } = job
  const image = await engineCall('reading the built image', 10_000, () => engine.getImage(id).inspect())
  const exposed = Object.keys(image.Config.ExposedPorts ?? {})
    .map((port) => Number.parseInt(port, 10))
    .sort((a, b) => a - b)[0]
  return {
    kind: 'image',
    digest: id,
    sizeBytes: image.Size,
    framework: plan.framework,
    start: plan.start,
    port: exposed ?? plan.port,
    healthCheckPath: plan.healthCheckPath,
    nodeVersion: null,
    packageManager: null,
  }
}

/** Describes a failed command like other builds do: the limit it exceeded, or its exit code and last output. */
function explained(job: BuildJob, error: unknown, evidence: GroupEvidence): unknown {
  if (!isAppError(error) || error.code !== 'ERR_BUILD') return error
  const said = { reason: job.log.reason(), lastLines: job.log.lastLines() }
  const code = /exit code (\d+)/.exec(error.message)?.[1]
  // A step killed by the kernel ends with 137; if only a child process was killed, only the counter shows it.
  const outOfMemory = evidence.oomKills > 0 || code === '137'
  const forksRefused = evidence.forksRefused > 0
  if (code !== undefined && (outOfMemory || forksRefused)) {
    const command = { ...dockerfileCommand, command: job.plan.dockerfile ?? 'Dockerfile' }
    return commandFailure({ command, code: Number(code), outOfMemory, forksRefused, ...said, limits: job.request.limits })
  }
  return new AppError(error.code, [error.message, ...quote(said)].join('\n'), { ...error.details, cause: error.cause })
}

const dockerfileCommand: Omit<PlanCommand, 'command'> = { step: 'build', cacheDirectories: [], cacheKeyFiles: [] }
