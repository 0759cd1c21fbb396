import { deploymentTraits } from '@/shared/states'
import type { Deployment, Environment } from '../database/generated/client'
import { allOf, type Case, type Row, type Verdict, type Verdicts, waitedMs } from './case'
import { type PushEvent, short } from './event'
import { isOutside, skipMarker } from './filters'
import { headAfter, pathFrom } from './order'
import { combine, type Outcome, readOutcomes } from './outcome'

type PushRow = Row<PushEvent>

/** What was decided last about the branch. */
interface Prior {
  head: string
  outcomes: Outcome[]
}

const settleAgainMs = 1_500

/** Decides about all pending pushes of one branch: at most one deployment in each environment, of the branch's head. */
export async function decidePushes(about: Case, rows: readonly PushRow[]): Promise<Verdicts> {
  const branch = rows[0]?.event.branch ?? ''
  const targets = await environmentsOf(about, branch, rows)
  if (targets.length === 0) return allOf(rows, { decision: 'ignored', reason: `branch ${branch} is not deployed` })
  if (rows.every(({ event }) => event.after === null)) return allOf(rows, { decision: 'ignored', reason: `branch ${branch} was deleted` })
  const prior = await priorOf(about, rows)
  const head = await headOf(about, branch, rows, prior)
  if (head === null) return allOf(rows, { decision: 'ignored', reason: `branch ${branch} was deleted` })
  const announced = rows.findLast(({ event }) => event.after === head)
  // The delivery of the newest commit is on its way: it brings the message and the files by which it may be ignored.
  if (!announced && head !== prior?.head && waitedMs(rows) < about.deps.settleMs) return { laterMs: settleAgainMs }
  const outcomes: Outcome[] = []
  for (const environment of targets) outcomes.push(await decideEnvironment(about, { environment, rows, head, announced, prior }))
  return verdictsOf(rows, announced ?? (rows.at(-1) as PushRow), head, outcomes)
}

function verdictsOf(rows: readonly PushRow[], decisive: PushRow, head: string, outcomes: Outcome[]): Map<string, Verdict> {
  const deploymentIds = outcomes.flatMap(({ deploymentId }) => deploymentId ?? [])
  const { branch } = decisive.event
  const older: Verdict = { decision: 'ignored', reason: `${branch} is at ${short(head)} by now`, deploymentIds }
  const verdicts = allOf(rows, older)
  return verdicts.set(decisive.delivery.id, { ...combine(outcomes), deploymentIds, outcomes, head })
}

/** Environments that this branch is deployed to. */
async function environmentsOf({ deps, db, project, signal }: Case, branch: string, rows: readonly PushRow[]): Promise<Environment[]> {
  const all = await db.environment.findMany({
    where: { projectId: project.id, kind: { in: ['PRODUCTION', 'CUSTOM'] }, closedAt: null },
    orderBy: { createdAt: 'asc' },
  })
  const wanted: Environment[] = []
  for (const environment of all) {
    const bound = environment.branch ?? (environment.kind === 'PRODUCTION' ? project.branch : null)
    if (bound === branch) wanted.push(environment)
    else if (bound === null && environment.kind === 'PRODUCTION') {
      const preset = rows.findLast(({ event }) => event.defaultBranch !== null)?.event.defaultBranch
      if ((preset ?? (await deps.readHead(project, null, signal))?.branch) === branch) wanted.push(environment)
    }
  }
  return wanted
}

async function priorOf({ db, project }: Case, rows: readonly PushRow[]): Promise<Prior | null> {
  const found = await db.gitDelivery.findFirst({
    where: { projectId: project.id, subject: rows[0]?.delivery.subject ?? '', head: { not: null }, decidedAt: { not: null } },
    orderBy: { decidedAt: 'desc' },
    select: { head: true, outcomes: true },
  })
  return found?.head ? { head: found.head, outcomes: readOutcomes(found.outcomes) } : null
}

/** The branch's head: by the chain of the pushes where it is clear, else as the repository has it. null: there is no such branch. */
async function headOf(about: Case, branch: string, rows: readonly PushRow[], prior: Prior | null): Promise<string | null> {
  const steps = rows.map(({ event }) => event)
  const chained = (await isRepeated(about, rows)) ? undefined : headAfter(prior?.head ?? null, steps)
  if (chained !== undefined) return chained
  return (await about.deps.readHead(about.project, branch, about.signal))?.sha ?? null
}

/** Whether one of these commits was pushed before: then a delivery was repeated under another id, or the branch was set back. */
async function isRepeated({ db, project }: Case, rows: readonly PushRow[]): Promise<boolean> {
  const subject = rows[0]?.delivery.subject ?? ''
  const afters = [...new Set(rows.flatMap(({ event }) => event.after ?? []))]
  // Many at once are no ordinary push: the repository is asked.
  if (afters.length > 50) return true
  const seen = await db.gitDelivery.findFirst({
    where: { projectId: project.id, subject, decidedAt: { not: null }, OR: afters.map((sha) => ({ content: { path: ['after'], equals: sha } })) },
    select: { id: true },
  })
  return seen !== null
}

interface Question {
  environment: Environment
  rows: readonly PushRow[]
  head: string
  /** The push that made the head; undefined: it was not delivered. */
  announced: PushRow | undefined
  prior: Prior | null
}

async function decideEnvironment(about: Case, question: Question): Promise<Outcome> {
  const { environment, head, announced, rows } = question
  const { db, deps, project } = about
  const say = (decision: Outcome['decision'], code: Outcome['code'], reason: string, deploymentId: string | null = null): Outcome => ({
    environmentId: environment.id,
    ...{ decision, code, reason, deploymentId },
  })
  const newest = await db.deployment.findFirst({
    where: { environmentId: environment.id, status: { not: 'CANCELED' } },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
  })
  const existing = await deploymentOf(about, question, newest)
  if (existing && (await isUnrecorded(about, existing, rows)))
    return say('queued', 'queued', `deployment ${existing.id} in ${environment.name}`, existing.id)
  if (existing) return say('ignored', 'already', `${short(head)} is deployed to ${environment.name} already`, existing.id)
  const { lockReason, pausedReason } = environment
  if (lockReason !== null) return say('ignored', 'paused', `${environment.name} is locked: ${lockReason}`)
  if (!environment.autoDeploy || pausedReason !== null) return say('ignored', 'paused', `automatic deploys of ${environment.name} are paused`)
  const marker = skipMarker(announced?.event.message ?? null)
  if (marker) return say('ignored', 'skip', marker)
  if (isOutside(project.rootDirectory, filesSince(question, newest)))
    return say('ignored', 'outside', `only files outside ${project.rootDirectory} changed`)
  const { deploymentId, isNew } = await deps.queue({
    teamId: project.teamId,
    projectId: project.id,
    environmentId: environment.id,
    branch: announced?.event.branch ?? rows[0]?.event.branch ?? '',
    commitSha: head,
    commitMessage: announced?.event.message ?? null,
    commitAuthor: announced?.event.author ?? null,
    triggeredBy: 'git',
    createdBy: announced?.event.author ?? 'Git push',
  })
  if (!isNew) return say('ignored', 'already', `${short(head)} is deployed to ${environment.name} already`, deploymentId)
  return say('queued', 'queued', `deployment ${deploymentId} in ${environment.name}`, deploymentId)
}

/** The deployment that the head has in this environment already; a person who replays a delivery gets a new one after a failure. */
async function deploymentOf({ db }: Case, { environment, head, prior, rows }: Question, newest: Deployment | null): Promise<Deployment | null> {
  const recorded = prior?.head === head ? prior.outcomes.find((one) => one.environmentId === environment.id)?.deploymentId : null
  const before = recorded ? await db.deployment.findFirst({ where: { id: recorded, environmentId: environment.id } }) : null
  const found = before ?? (newest?.commitSha === head ? newest : null)
  if (!found) return null
  const hasFailed = found.status === 'FAILED' || found.status === 'CANCELED'
  return hasFailed && rows.some(({ delivery }) => delivery.replayOf !== null) ? null : found
}

/** Queued for these very deliveries by a process that ended before it recorded so. */
async function isUnrecorded({ db }: Case, deployment: Deployment, rows: readonly PushRow[]): Promise<boolean> {
  if (deployment.triggeredBy !== 'GIT' || !deploymentTraits[deployment.status].running) return false
  if (!rows.some(({ delivery }) => delivery.receivedAt <= deployment.createdAt)) return false
  return (await db.gitDelivery.count({ where: { deploymentIds: { has: deployment.id } } })) === 0
}

/** Files changed since the last commit that the environment has, or could have ignored. null: not all are known. */
function filesSince({ environment, rows, head, prior }: Question, newest: Deployment | null): string[] | null {
  const last = prior?.outcomes.find((one) => one.environmentId === environment.id)
  const isCovered = last?.code === 'queued' || last?.code === 'already' || last?.code === 'outside'
  const start = isCovered ? (prior?.head ?? null) : (newest?.commitSha ?? null)
  const path =
    start === null
      ? null
      : pathFrom(
          start,
          rows.map(({ event }) => event),
        )
  const end = path?.findIndex(({ after }) => after === head) ?? -1
  if (!path || end < 0) return null
  const steps = path.slice(0, end + 1)
  return steps.some(({ files, forced }) => files === null || forced) ? null : steps.flatMap(({ files }) => files ?? [])
}
