import type { BuildRequest } from '@/builder/builder'
import type { PlanCommand } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { quoteOutput } from '@/shared/first-error'
import type { FailureReason } from './reason'

type Limits = BuildRequest['limits']

/** Facts about a failed command. */
export interface FailedCommand {
  command: PlanCommand
  code: number | null
  outOfMemory: boolean
  forksRefused: boolean
  lastLines: readonly string[]
  reason: FailureReason
  limits: Limits
}

const shownLines = 6

/** Explains a failed command to users: the exceeded limit, or the exit code and the last output. */
export function commandFailure(failed: FailedCommand): AppError {
  const said = failed.lastLines.join('\n')
  const step = failed.command.step
  if (failed.outOfMemory || /JavaScript heap out of memory|Reached heap limit/.test(said)) return memoryFailure(step, failed)
  if (failed.forksRefused || /Cannot fork|fork: (retry|Resource)|Resource temporarily unavailable|EAGAIN/.test(said))
    return processFailure(step, failed)
  const end = failed.code === null ? 'was killed' : `ended with exit code ${failed.code}`
  return new AppError('ERR_BUILD', [`"${failed.command.command}" ${end}.`, ...quote(failed)].join('\n'), {
    step,
    nextAction: adviceFor(failed, step),
  })
}

/** The first error of the output, then its last lines, without duplicates. */
export const quote = ({ reason, lastLines }: Pick<FailedCommand, 'reason' | 'lastLines'>): string[] =>
  quoteOutput(reason.firstError(), lastLines, shownLines)

function adviceFor({ code, reason }: FailedCommand, step: string): string {
  const advice = reason.advice()
  if (advice !== null) return advice
  if (code === 127)
    return 'The command, or a program it starts, does not exist. Correct it in the settings of the project, or add the missing package to its dependencies.'
  return `Read the log of the step "${step}", correct the cause and deploy again.`
}

function memoryFailure(step: string, failed: FailedCommand): AppError {
  return new AppError('ERR_BUILD_LIMIT', `"${failed.command.command}" ran out of memory: builds have ${mebibytes(failed.limits.memoryBytes)}.`, {
    step,
    nextAction: 'Make the build need less memory, or ask the operator of this Switchyard for a higher limit.',
  })
}

function processFailure(step: string, failed: FailedCommand): AppError {
  return new AppError('ERR_BUILD_LIMIT', `"${failed.command.command}" started more processes than a build may have (${failed.limits.pids}).`, {
    step,
    nextAction: 'Make the build start fewer processes at once, or ask the operator of this Switchyard for a higher limit.',
  })
}

export function timeFailure(step: string, limits: Limits): AppError {
  return new AppError(
    'ERR_BUILD_LIMIT',
    `The build took longer than it may (${Math.round(limits.timeoutMs / 1000)} s) and was stopped during "${step}".`,
    {
      step,
      nextAction: 'Check that no command of the build waits for input or watches files, or ask the operator for more time.',
    },
  )
}

export function floodFailure(step: string): AppError {
  return new AppError('ERR_BUILD_LIMIT', 'The build wrote more output than a log may hold and was stopped.', {
    step,
    nextAction: 'Make the build write less: look for a loop in the last lines of the log.',
  })
}

export function diskFailure(step: string): AppError {
  return new AppError('ERR_BUILD_LIMIT', 'The build was stopped because the disk of this machine is nearly full. What it had written was removed.', {
    step,
    nextAction: 'Deploy again when the operator has freed space (Settings → Storage). If this build itself writes gigabytes, make it write less.',
  })
}

export function canceled(step: string): AppError {
  return new AppError('ERR_CANCELED', 'The build was canceled.', { step })
}

const mebibytes = (bytes: number): string =>
  bytes >= 1024 ** 3 ? `${Math.round((bytes / 1024 ** 3) * 10) / 10} GiB` : `${Math.round(bytes / 1024 ** 2)} MiB`
