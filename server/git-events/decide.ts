import { isAppError } from '@/shared/errors'
import type { GitDelivery, Project } from '../database/generated/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { ageMs, allOf, type Case, type Row, type Verdict, type Verdicts } from './case'
import { type GitEvent, gitEvent } from './event'
import { isSameRepository } from './filters'
import type { GitEventDeps } from './ports'
import { decidePullRequest } from './pull-requests'
import { decidePushes } from './pushes'

/** Deliveries that are decided in one go. */
const batch = 1000
/** How soon a repository that did not answer is asked again. */
const askAgainMs = 5_000

/**
 * Decides about everything that is pending of a project. Safe to repeat at any point: what is decided is recorded after it was done, and doing
 * it again finds it done. Returns in how many milliseconds to look again; null: nothing is left.
 */
export async function decideProject(deps: GitEventDeps, projectId: string, signal: AbortSignal): Promise<number | null> {
  const project = await deps.prisma.project.findUnique({ where: { id: projectId } })
  if (!project) return null
  const db = scopeTo(deps.prisma, project)
  const postponed = new Set<string>()
  const failures: unknown[] = []
  let laterMs: number | null = null
  while (!signal.aborted) {
    const pending = await db.gitDelivery.findMany({
      where: { projectId, decision: 'pending', subject: { notIn: [...postponed] } },
      orderBy: [{ receivedAt: 'asc' }, { id: 'asc' }],
      take: batch,
    })
    if (pending.length === 0) break
    for (const [subject, deliveries] of Map.groupBy(pending, (delivery) => delivery.subject ?? '')) {
      const verdicts = await decideSubject({ deps, db, project, signal }, deliveries.map(rowOf)).catch((error: unknown) => void failures.push(error))
      if (verdicts instanceof Map) await record(deps, db, project, verdicts)
      else {
        postponed.add(subject)
        if (verdicts) laterMs = Math.min(laterMs ?? Number.POSITIVE_INFINITY, verdicts.laterMs)
      }
    }
  }
  // The other subjects do not wait for it; the job is tried again.
  if (failures.length > 0) throw failures[0]
  return laterMs
}

const rowOf = (delivery: GitDelivery): Row => ({ delivery, event: gitEvent.parse(delivery.content) })

const isPush = (row: Row): row is Row<Extract<GitEvent, { kind: 'push' }>> => row.event.kind === 'push'
const isPull = (row: Row): row is Row<Extract<GitEvent, { kind: 'pull-request' }>> => row.event.kind === 'pull-request'

async function decideSubject(about: Case, rows: readonly Row[]): Promise<Verdicts> {
  const foreign = new Map(rows.flatMap((row) => ofAnotherRepository(about.project, row)))
  const own = rows.filter(({ delivery }) => !foreign.has(delivery.id))
  const verdicts = own.length === 0 ? new Map<string, Verdict>() : await decideOwn(about, own)
  return verdicts instanceof Map ? new Map([...foreign, ...verdicts]) : verdicts
}

async function decideOwn(about: Case, rows: readonly Row[]): Promise<Verdicts> {
  try {
    const pushes = rows.filter(isPush)
    return pushes.length > 0 ? await decidePushes(about, pushes) : await decidePullRequest(about, rows.filter(isPull))
  } catch (error) {
    if (!isAppError(error)) throw error
    const mayPass = error.code !== 'ERR_CONFLICT' && ageMs(rows) < about.deps.giveUpMs
    if (error.code === 'ERR_CANCELED' || mayPass) return { laterMs: askAgainMs }
    return allOf(rows, { decision: 'failed', reason: error.message })
  }
}

function ofAnotherRepository(project: Project, { delivery, event }: Row): [string, Verdict][] {
  if (event.kind !== 'push' && event.kind !== 'pull-request') return []
  if (!project.repository) return [[delivery.id, { decision: 'ignored', reason: 'the project has no repository' }]]
  if (isSameRepository(project.repository, event.repository)) return []
  return [[delivery.id, { decision: 'ignored', reason: `the repository is another one: ${event.repository}` }]]
}

async function record(deps: GitEventDeps, db: ScopedClient, project: Project, verdicts: Map<string, Verdict>): Promise<void> {
  const decidedAt = new Date()
  const groups = Map.groupBy(verdicts, ([, verdict]) => verdict)
  for (const [verdict, entries] of groups)
    await db.gitDelivery.updateMany({
      where: { id: { in: entries.map(([id]) => id) }, decision: 'pending' },
      data: { ...verdict, decidedAt },
    })
  const [id = ''] = verdicts.keys()
  await deps.bus.publish({ kind: 'git-delivery', id, teamId: project.teamId, projectId: project.id })
}
