import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { RestAnswer, RestFields } from '@/server/api/rest/client-types'
import { isAppError, type WireError } from '@/shared/errors'
import { type DeploymentStatus, deploymentTraits } from '@/shared/states'
import type { DeploymentView, ProjectView } from '@/shared/views'
import { type ApiOptions, type Context, listProjects, matchProject, openContext, printResult, type WantedProject, wantedProject } from '../context'
import type { CliEnv } from '../env'
import { events } from '../event-stream'
import { Interrupted, toWireError, UsageError } from '../failure'
import { packFolder } from '../pack'
import { keepComment } from '../pull-request-comment'
import { readProjectFile, writeLink } from '../settings'
import { bytes, seconds } from '../terminal'
import { getDeployment, requestCancel, waitForEnd } from './cancel'
import { lineOf } from './logs'

export interface DeployOptions extends ApiOptions {
  project?: string
  environment?: string
  pullRequest?: string
  branch?: string
  comment?: boolean
  link?: boolean
  waitForTurn?: boolean
  cache?: boolean
}

/** The last line of `deploy --json`. */
export interface DeployResult {
  deploymentId: string | null
  /** `FAILED` also if no deployment was created. A running status with an `error` is the last known status: the end was not seen. */
  status: DeploymentStatus
  url: string
  framework: string | null
  /** Milliseconds: `total` from the start of the command, other keys: duration of that step. */
  timings: { total: number } & Record<string, number>
  projectId?: string
  error?: WireError
}

const uploadDeadlineMs = 15 * 60_000

/**
 * Deploys a folder and waits until it is live: project (created when missing), archive, upload, deployment, log to its end.
 * @returns the exit code: 0 only if the deployment is live.
 */
export async function deploy(env: CliEnv, directory: string, options: DeployOptions): Promise<number> {
  const interrupt = new AbortController()
  const run: DeployRun = { timings: {}, deploymentId: null, interrupt, view: null }
  const onSignal = () => interrupt.abort(new Interrupted())
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  let context: Context | null = null
  try {
    context = await openContext(env, options, interrupt.signal)
    const view = await ship(context, path.resolve(directory), options, run)
    if (options.comment) await commentOn(context, options, view)
    return report(context, run, view)
  } catch (error) {
    if (error instanceof UsageError && !options.json) throw error
    if (context && run.deploymentId && interrupt.signal.aborted) return await leave(env, options, context, run)
    context?.progress.stop()
    const wire = run.deploymentId ? unknownEnd(run.deploymentId, toWireError(error)) : toWireError(error)
    if (options.json) printResult(resultOf(run, run.view, wire))
    context?.progress.failure(wire)
    if (!context) process.stderr.write(`switchyard: ${wire.message}${wire.nextAction ? `\nNext: ${wire.nextAction}` : ''}\n`)
    return error instanceof Interrupted ? 130 : 1
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

/** A deployment that is live does not fail for a comment that cannot be written. */
async function commentOn({ env, client, progress }: Context, { pullRequest }: DeployOptions, view: DeploymentView): Promise<void> {
  const outcome = deploymentTraits[view.status].live ? view.projectUrl : `The deployment ended as ${view.status}.`
  const details = `[Deployment ${view.id}](${client.api}/${view.projectSlug}/deployments/${view.id})`
  try {
    await keepComment(env, Number(pullRequest), `**Switchyard: preview of ${view.projectSlug}**`, `${outcome}\n\n${details}`)
  } catch (error) {
    const { message, nextAction } = toWireError(error)
    progress.warn(`The pull request has no comment. ${message}${nextAction ? ` ${nextAction}` : ''}`)
  }
}

/** The deployment continues on the server, but this command lost track of it. */
function unknownEnd(id: string, wire: WireError): WireError {
  return {
    ...wire,
    message: `How deployment ${id} ended is not known; it goes on without this command. ${wire.message}`,
    nextAction: `switchyard logs ${id} --follow`,
  }
}

interface DeployRun {
  timings: Record<string, number>
  deploymentId: string | null
  interrupt: AbortController
  /** Last known deployment. */
  view: DeploymentView | null
}

async function timed<T>(run: DeployRun, name: string, work: Promise<T>): Promise<T> {
  const begin = performance.now()
  try {
    return await work
  } finally {
    run.timings[name] = Math.round(performance.now() - begin)
  }
}

async function ship(context: Context, directory: string, options: DeployOptions, run: DeployRun): Promise<DeploymentView> {
  const { client, progress } = context
  const { signal } = run.interrupt
  const target = targetOf(options)
  // Read switchyard.json before packing, to report a broken file at once.
  await readProjectFile(directory)
  const wanted = await wantedProject(context, options.project, directory, path.basename(directory))
  progress.status('packing')
  // Independent and slow: run both in parallel.
  const finding = timed(run, 'project', ensureProject(context, directory, wanted))
  finding.catch(() => {})
  const source = await timed(run, 'pack', packFolder(directory, signal))
  try {
    for (const warning of source.warnings) progress.warn(warning)
    const project = await finding
    if (options.link) await writeLink(directory, { projectId: project.id, name: project.name, slug: project.slug, api: client.api })
    progress.status(`uploading ${bytes(source.archiveBytes)}`)
    const upload = client.call<RestAnswer<'POST /sources'>>('/sources', {
      method: 'POST',
      file: source.file,
      deadlineMs: uploadDeadlineMs,
      idempotent: true,
    })
    const uploaded = await timed(run, 'upload', upload)
    progress.done(
      'upload',
      `${source.fileCount} files, ${bytes(source.sizeBytes)}, ${bytes(source.archiveBytes)} packed · ${seconds(run.timings.upload ?? 0)}`,
    )
    const body: RestFields<'POST /deployments'> = {
      projectId: project.id,
      triggeredBy: 'api',
      source: uploaded.source,
      ...target,
      noCache: options.cache === false,
    }
    run.deploymentId = await createInTurn(context, options, body, signal)
  } finally {
    await source.dispose()
  }
  return follow(context, run, run.deploymentId)
}

/** @throws UsageError when the options name no target, or two */
function targetOf({
  environment,
  pullRequest,
  branch,
  comment,
}: DeployOptions): Pick<RestFields<'POST /deployments'>, 'environment' | 'pullRequest' | 'branch'> {
  if (pullRequest === undefined) {
    if (branch || comment) throw new UsageError('--branch and --comment are about a pull request.', 'Give --pull-request NUMBER too.')
    return environment ? { environment } : {}
  }
  if (environment) throw new UsageError('Give --environment or --pull-request, not both.', 'A pull request has a preview of its own.')
  if (!/^[1-9]\d{0,8}$/.test(pullRequest))
    throw new UsageError(`${pullRequest} is not the number of a pull request.`, 'For example: --pull-request 7')
  return { pullRequest: Number(pullRequest), ...(branch ? { branch } : {}) }
}

async function ensureProject(context: Context, directory: string, wanted: WantedProject): Promise<ProjectView> {
  const { client, progress } = context
  const found = matchProject(await listProjects(client), wanted)
  if (found) return found
  const settings = await readProjectFile(directory)
  const created = await client.call<RestAnswer<'POST /projects'>>('/projects', { method: 'POST', body: { ...settings, name: wanted.name } })
  progress.done(`project ${created.name} created`)
  return created
}

/** An environment runs a single deployment at a time. With `--wait-for-turn`, waits for the running deployment, and for further ones that start first. */
async function createInTurn(context: Context, options: DeployOptions, body: RestFields<'POST /deployments'>, signal: AbortSignal): Promise<string> {
  const { client, progress } = context
  for (;;) {
    try {
      const created = await client.call<RestAnswer<'POST /deployments'>>('/deployments', { method: 'POST', body })
      return created.deploymentId
    } catch (error) {
      if (!options.waitForTurn || !isAppError(error) || error.code !== 'ERR_DEPLOYMENT_RUNNING') throw error
    }
    const { items } = await client.call<RestAnswer<'GET /deployments'>>(`/deployments?projectId=${body.projectId}&limit=20`)
    const running = items.find((item) => deploymentTraits[item.status].running)
    progress.status(running ? `waiting for deployment ${running.id} to end` : 'waiting for its turn')
    if (running) await waitForEnd(client, running.id, signal)
    else await wait(250, undefined, { signal })
  }
}

/** Follows a deployment that another command queued, as `deploy` does. @returns the exit code: 0 only if it is live */
export async function followToEnd(context: Context, deploymentId: string, signal: AbortSignal): Promise<number> {
  const interrupt = new AbortController()
  const onAbort = () => interrupt.abort(new Interrupted())
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const run: DeployRun = { timings: {}, deploymentId, interrupt, view: null }
    return report(context, run, await follow(context, run, deploymentId))
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Shows log and steps until the deployment has ended. The end of the log is the signal, so no polling is needed. */
async function follow(context: Context, run: DeployRun, id: string): Promise<DeploymentView> {
  const { client, progress } = context
  const { signal } = run.interrupt
  const shown = new Set<string>()
  let after: string | undefined
  let step = ''
  let showing: Promise<void> = Promise.resolve()
  progress.status('waiting for a worker')
  for (;;) {
    for await (const event of events(client, `/deployments/${id}/logs`, signal, after)) {
      after = event.id ?? after
      const line = lineOf(event)
      if (line.step !== step) {
        step = line.step
        progress.status(step)
        showing = showing.then(() => showSteps(context, run, id, shown)).catch(() => {})
      }
      progress.log(line)
    }
    signal.throwIfAborted()
    await showing
    const view = await getDeployment(client, id)
    run.view = view
    presentSteps(context, view, shown)
    if (!deploymentTraits[view.status].running) return view
    // The server closed the log early (during a restart, for example); the next connection resumes after the last line.
    await wait(50, undefined, { signal }).catch(() => {})
  }
}

async function showSteps(context: Context, run: DeployRun, id: string, shown: Set<string>): Promise<void> {
  run.view = await getDeployment(context.client, id)
  presentSteps(context, run.view, shown)
}

function presentSteps({ progress }: Context, view: DeploymentView, shown: Set<string>): void {
  for (const step of view.steps) {
    if (step.status === 'running' || shown.has(step.id)) continue
    shown.add(step.id)
    progress.step(step)
  }
}

function resultOf(run: DeployRun, view: DeploymentView | null, error?: WireError): DeployResult {
  const steps: Record<string, number> = {}
  for (const step of view?.steps ?? []) if (step.durationMs !== null) steps[step.name] = (steps[step.name] ?? 0) + step.durationMs
  return {
    deploymentId: run.deploymentId,
    status: view?.status ?? (run.deploymentId ? 'PENDING' : 'FAILED'),
    url: view ? (deploymentTraits[view.status].live ? view.projectUrl : view.url) : '',
    framework: view?.framework ?? null,
    // Measured from the start of the process: the time the person waited.
    timings: { ...run.timings, ...steps, total: Math.round(performance.now()) },
    ...(view ? { projectId: view.projectId } : {}),
    ...(error ? { error } : {}),
  }
}

function report(context: Context, run: DeployRun, view: DeploymentView): number {
  const { progress, client, json } = context
  const live = deploymentTraits[view.status].live
  const error = live ? undefined : (toWire(view) ?? { code: 'ERR_INTERNAL' as const, message: `The deployment ended as ${view.status}.` })
  const result = resultOf(run, view, error)
  progress.stop()
  if (live) progress.done(`Live: ${view.projectUrl}`, seconds(result.timings.total))
  else if (error) progress.failure(error, `${client.api}/${view.projectSlug}/deployments/${view.id}`)
  if (json) printResult(result)
  else if (live) printResult(view.projectUrl)
  return live ? 0 : 1
}

const toWire = (view: DeploymentView): WireError | null => view.error as WireError | null

/** Ctrl-C cancels the deployment and waits for its end; a second Ctrl-C exits without waiting. */
async function leave(env: CliEnv, options: DeployOptions, interrupted: Context, run: DeployRun): Promise<number> {
  const id = run.deploymentId ?? ''
  const second = new AbortController()
  const onSignal = () => second.abort(new Interrupted())
  process.once('SIGINT', onSignal)
  try {
    interrupted.progress.status('canceling (Ctrl-C again leaves it to the server)')
    const context = await openContext(env, options, second.signal)
    await requestCancel(context.client, id)
    const freshRun = { ...run, interrupt: second }
    const view = await follow({ ...context, progress: interrupted.progress }, freshRun, id)
    report({ ...context, progress: interrupted.progress }, freshRun, view)
    return deploymentTraits[view.status].live ? 0 : 130
  } catch (error) {
    const wire = toWireError(error)
    interrupted.progress.failure(
      second.signal.aborted
        ? { code: 'ERR_CANCELED', message: `Deployment ${id} goes on without you.`, nextAction: `switchyard logs ${id} --follow` }
        : wire,
    )
    if (options.json) printResult(resultOf(run, run.view, wire))
    return 130
  } finally {
    process.off('SIGINT', onSignal)
  }
}
