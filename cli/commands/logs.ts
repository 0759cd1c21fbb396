import { AppError } from '@/shared/errors'
import type { LogLineView } from '@/shared/views'
import { type ApiOptions, type Context, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { events } from '../event-stream'
import { isWireError, UsageError } from '../failure'
import { logText } from '../terminal'

export type LogsOptions = ApiOptions & { project?: string; follow?: boolean; tail?: string }

/** Prints build and app log lines of a deployment. `--follow` continues until the app is no longer served. */
export async function logs(env: CliEnv, deploymentId: string | undefined, options: LogsOptions, signal: AbortSignal): Promise<void> {
  if (options.tail !== undefined && !/^\d{1,5}$/.test(options.tail)) throw new UsageError(`--tail ${options.tail} is not a number of lines.`)
  const context = await openContext(env, options, signal)
  const id = deploymentId ?? (await newestDeployment(context, options.project))
  const query = new URLSearchParams({ follow: options.follow ? '1' : '0', until: 'stopped', ...(options.tail ? { tail: options.tail } : {}) })
  for await (const event of events(context.client, `/deployments/${encodeURIComponent(id)}/logs?${query}`, signal)) {
    const line = lineOf(event)
    printResult(context.json ? line : logText(line, process.stdout.isTTY === true))
  }
}

async function newestDeployment(context: Context, named: string | undefined): Promise<string> {
  const project = await currentProject(context, named)
  if (!project.latestDeployment)
    throw new UsageError(`${project.name} was not deployed yet.`, `Deploy it: switchyard deploy --project ${project.slug}`)
  return project.latestDeployment.id
}

type StreamEvent = { event?: string | undefined; data: string }

/** @throws AppError when the event is the server's report of a failure */
export const lineOf = (event: StreamEvent): LogLineView => carriedBy(event)

/** Parses the data of a stream event. @throws AppError when the event is the server's report of a failure */
export function carriedBy<T>(event: StreamEvent): T {
  const value: unknown = JSON.parse(event.data)
  if (event.event !== 'error') return value as T
  const wire = (value as { error?: unknown }).error
  if (!isWireError(wire)) throw new AppError('ERR_UNAVAILABLE', 'The stream ended with an error.')
  const { code, message, ...details } = wire
  throw new AppError(code, message, details)
}
