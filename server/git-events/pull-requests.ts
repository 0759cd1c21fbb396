import { templateName } from '@/shared/environments'
import { AppError } from '@/shared/errors'
import type { Environment } from '../database/generated/client'
import { closeEnvironment, ensurePreviewEnvironment } from '../environments/environments'
import { allOf, type Case, type Row, type Verdict, type Verdicts } from './case'
import { type PullRequestEvent, short } from './event'
import { skipMarker } from './filters'
import { combine, type Outcome } from './outcome'

type PullRow = Row<PullRequestEvent>

/** Previews of forks that wait for approval, per project. */
const maxWaitingForks = 20

const isClosing = ({ change }: PullRequestEvent): boolean => change === 'closed' || change === 'merged'

/** By the clock of the Git host; of the same second, closing comes last. */
function byTime(a: PullRow, b: PullRow): number {
  const at = ({ event }: PullRow) => (event.updatedAt === null ? 0 : Date.parse(event.updatedAt))
  return at(a) - at(b) || Number(isClosing(a.event)) - Number(isClosing(b.event))
}

/** Decides about all pending events of one pull request: only the newest counts. */
export async function decidePullRequest(about: Case, rows: readonly PullRow[]): Promise<Verdicts> {
  const newest = [...rows].sort(byTime).at(-1)
  if (!newest) return new Map()
  const { number } = newest.event
  if (await isOutdated(about, newest))
    return allOf(rows, { decision: 'ignored', reason: `a newer event of pull request ${number} was handled before` })
  const verdicts = allOf(rows, { decision: 'ignored', reason: `a newer event of pull request ${number} followed` })
  return verdicts.set(newest.delivery.id, await decideNewest(about, newest))
}

async function isOutdated({ db, project }: Case, { delivery }: PullRow): Promise<boolean> {
  if (delivery.subjectAt === null) return false
  const newer = await db.gitDelivery.count({
    where: { projectId: project.id, subject: delivery.subject, decidedAt: { not: null }, subjectAt: { gt: delivery.subjectAt } },
  })
  return newer > 0
}

async function decideNewest(about: Case, row: PullRow): Promise<Verdict> {
  const { event } = row
  if (isClosing(event)) return closePreview(about, event)
  const template = await about.db.environment.findFirst({ where: { projectId: about.project.id, name: templateName } })
  if (template && (!template.autoDeploy || template.pausedReason !== null))
    return { decision: 'ignored', reason: 'automatic deploys of previews are paused' }
  const marker = skipMarker(event.message)
  if (marker) return { decision: 'ignored', reason: marker }
  const commitSha = await fullSha(about, event)
  if (!commitSha) return { decision: 'ignored', reason: `the commit of the fork cannot be fetched from ${event.repository}` }
  if (event.fork && (await isCrowded(about, event.number)))
    return { decision: 'ignored', reason: `${maxWaitingForks} requests from forks wait for approval already` }
  const environment = await openPreview(about, row)
  const outcome = await deployPreview(about, row, environment, commitSha)
  return { ...combine([outcome]), deploymentIds: outcome.deploymentId ? [outcome.deploymentId] : [], outcomes: [outcome] }
}

/** Strangers may open any number of requests: those that wait for approval must not use up the environments of the project. */
async function isCrowded({ db, project }: Case, pullRequest: number): Promise<boolean> {
  const others = { projectId: project.id, fork: true, approvedAt: null, closedAt: null, NOT: { pullRequest } }
  return (await db.environment.count({ where: others })) >= maxWaitingForks
}

async function closePreview({ db, deps, project }: Case, { number, change }: PullRequestEvent): Promise<Verdict> {
  const environment = await db.environment.findFirst({ where: { projectId: project.id, pullRequest: number, closedAt: null } })
  if (!environment) return { decision: 'ignored', reason: `pull request ${number} was ${change} and has no preview` }
  await closeEnvironment(db, deps.bus, environment, `Pull request ${number} was ${change}.`)
  await deps.routesChanged()
  return { decision: 'done', reason: `${environment.name} is closed: pull request ${number} was ${change}` }
}

/** The preview of the pull request. The approval of a fork holds for one commit: each other one takes it away. */
async function openPreview({ db, deps, project }: Case, { delivery, event }: PullRow): Promise<Environment> {
  const { number: pullRequest, headBranch: branch, title, author, fork } = event
  const environment = await ensurePreviewEnvironment(db, project, { pullRequest, branch, title, author, fork })
  await deps.routesChanged()
  if (!fork) return environment
  const { approvedBy } = delivery
  return db.environment.update({ where: { id: environment.id }, data: { approvedBy, approvedAt: approvedBy === null ? null : new Date() } })
}

async function deployPreview(
  { db, deps, project }: Case,
  { delivery, event }: PullRow,
  environment: Environment,
  commitSha: string,
): Promise<Outcome> {
  const base = { environmentId: environment.id, deploymentId: null } as const
  if (event.fork && environment.approvedAt === null)
    return { ...base, decision: 'waiting', code: 'fork', reason: `fork: a member has to approve ${short(commitSha)}` }
  if (environment.lockReason !== null)
    return { ...base, decision: 'ignored', code: 'paused', reason: `${environment.name} is locked: ${environment.lockReason}` }
  const { deploymentId, isNew } = await deps.queue({
    ...{ teamId: project.teamId, projectId: project.id, environmentId: environment.id, branch: event.headBranch, commitSha },
    commitMessage: event.message,
    commitAuthor: event.author,
    triggeredBy: 'git',
    createdBy: delivery.approvedBy ?? event.author ?? 'Pull request',
  })
  const recorded = isNew ? 0 : await db.gitDelivery.count({ where: { deploymentIds: { has: deploymentId } } })
  if (recorded > 0)
    return { ...base, decision: 'ignored', code: 'already', reason: `${short(commitSha)} is deployed to ${environment.name} already`, deploymentId }
  return { ...base, decision: 'queued', code: 'queued', reason: `deployment ${deploymentId} in ${environment.name}`, deploymentId }
}

/** The whole id of the head. Bitbucket abbreviates it, and has no ref by which a fork's commit can be fetched. null: it cannot be fetched. */
async function fullSha({ deps, project, signal }: Case, event: PullRequestEvent): Promise<string | null> {
  if (event.headSha.length >= 40) return event.fork && event.headRef === null ? null : event.headSha
  if (event.fork) return null
  const head = await deps.readHead(project, event.headBranch, signal)
  if (!head) throw new AppError('ERR_SOURCE', `The repository has no branch ${event.headBranch}.`, { step: 'source' })
  return head.sha
}
