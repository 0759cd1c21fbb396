import type { BuildEvents, BuildRequest } from '@/builder/builder'
import type { Workspace } from '@/builder/cache/workspace'
import type { BuildPlan, PlanCommand } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { canceled, commandFailure, diskFailure, floodFailure, timeFailure } from './failure'
import type { BuildLog } from './log'
import { type CommandResult, SandboxGone } from './steps'

/** A running build: the data that all executors share. */
export interface BuildJob {
  request: BuildRequest
  plan: BuildPlan
  /** The fetched source. */
  sourceDirectory: string
  workspace: Workspace
  log: BuildLog
  events: BuildEvents
  /** Aborted when the user cancels. */
  signal: AbortSignal
  /** Aborted at the time limit of the build. */
  timeout: AbortSignal
  /** Aborted when the disk is nearly full. */
  diskFull: AbortSignal
  /** Checks the disk now and aborts `diskFull` if necessary: it may be the cause of a failure. */
  checkDisk(): Promise<void>
}

/** A running environment that executes the plan's commands sequentially. */
export interface Sandbox {
  run(onLine: (stream: 'stdout' | 'stderr', text: string) => void): Promise<CommandResult>
  skip(): void
  /** Whether the kernel killed a process because of memory; known after the end. */
  outOfMemory(): Promise<boolean>
  /** Kills all processes at once. */
  kill(): Promise<void>
}

/** Sandbox for a build without commands. */
export const idleSandbox: Sandbox = {
  run: () => Promise.reject(new AppError('ERR_INTERNAL', 'a build without commands was asked to run one')),
  skip: () => {},
  outOfMemory: async () => false,
  kill: async () => {},
}

/** Decides which install commands can be skipped because their earlier result still exists. */
export interface InstallDecision {
  skip: ReadonlySet<PlanCommand>
}

/**
 * Runs the plan's commands in order and records their steps. Converts cancellation, time limit, log flood and failure to AppErrors. Kills the
 * sandbox unless all commands succeed.
 */
export async function runCommands(job: BuildJob, sandbox: Sandbox, decision: InstallDecision): Promise<void> {
  for (const [index, command] of job.plan.commands.entries()) {
    const { step } = command
    const first = job.plan.commands.findIndex((other) => other.step === step) === index
    const last = job.plan.commands.findLastIndex((other) => other.step === step) === index
    if (first) {
      await job.events.onStepStart(step)
      job.log.startStep()
    }
    const cached = decision.skip.has(command)
    try {
      if (cached) {
        job.log.system(step, 'Dependencies have not changed: the installed ones are used.')
        sandbox.skip()
      } else await runCommand(job, sandbox, command)
      if (!cached && step === 'install') await job.workspace.recordInstall(command)
    } catch (error) {
      await sandbox.kill()
      job.log.endStep()
      const status = error instanceof AppError && error.code === 'ERR_CANCELED' ? 'canceled' : 'failed'
      await job.events.onStepEnd(step, { status, ...(error instanceof AppError ? { detail: error.message } : {}) })
      throw error
    }
    if (last) job.log.endStep()
    if (last) await job.events.onStepEnd(step, { status: 'done', ...(cached ? { cached } : {}) })
  }
}

async function runCommand(job: BuildJob, sandbox: Sandbox, command: PlanCommand): Promise<void> {
  const { request, log } = job
  // Our own commands have many lines; show the first.
  const [first = '', ...rest] = command.command.split('\n')
  log.system(command.step, `$ ${first.length > 200 || rest.length > 0 ? `${first.slice(0, 120)} …` : first}`)
  const stopped = firstAbort(stopSignals(job))
  const failed = { command, lastLines: log.lastLines(), reason: log.reason(), limits: request.limits }
  try {
    const work = sandbox.run((stream, text) => log.line(command.step, stream, text))
    work.catch(() => {})
    const result = await Promise.race([work, stopped.promise])
    if (result === 'aborted') throw abortReason(job, command.step)
    if (result.code === 0) return
    await job.checkDisk()
    if (job.diskFull.aborted) throw abortReason(job, command.step)
    throw commandFailure({ ...failed, code: result.code, outOfMemory: result.oomKills > 0, forksRefused: result.forksRefused > 0 })
  } catch (error) {
    if (stopSignals(job).some((signal) => signal.aborted)) throw abortReason(job, command.step)
    if (!(error instanceof SandboxGone)) throw error
    throw commandFailure({ ...failed, code: error.code, outOfMemory: await sandbox.outOfMemory(), forksRefused: false })
  } finally {
    stopped.release()
  }
}

/** All signals that stop a build from outside. */
export function stopSignals(job: BuildJob): AbortSignal[] {
  return [job.signal, job.timeout, job.diskFull, job.log.flood]
}

/** The reason of an abort; cancellation by the user comes first. */
export function abortReason(job: Pick<BuildJob, 'signal' | 'timeout' | 'request'> & { diskFull?: AbortSignal }, step: string): AppError {
  if (job.signal.aborted) return canceled(step)
  if (job.diskFull?.aborted) return diskFailure(step)
  return job.timeout.aborted ? timeFailure(step, job.request.limits) : floodFailure(step)
}

/** Resolves when any of the signals is aborted; `release` removes the listeners. */
export function firstAbort(signals: readonly AbortSignal[]): { promise: Promise<'aborted'>; release(): void } {
  let onAbort = () => {}
  const promise = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted')
  })
  for (const signal of signals) {
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  }
  return {
    promise,
    release: () => {
      for (const signal of signals) signal.removeEventListener('abort', onAbort)
    },
  }
}

/** Environment of a build: the plan's variables, then the project's; never the platform's. */
export function buildEnvironment(job: Pick<BuildJob, 'plan' | 'request'>, base: Readonly<Record<string, string>>): Record<string, string> {
  return { ...base, ...job.plan.buildEnv, ...job.request.env }
}
