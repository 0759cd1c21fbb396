import { z } from 'zod'
import type { GitEvent, PullRequestEvent } from '../event'
import { branchOf, changedFiles, filesOf, notBranch, objectId, text, time } from './fields'

const project = z.object({ path_with_namespace: z.string(), default_branch: z.string().nullish() })

const push = z.object({
  ref: z.string(),
  before: objectId,
  after: objectId,
  user_name: text,
  total_commits_count: z.number().nullish(),
  commits: z.array(changedFiles.extend({ id: z.string(), message: text, author: z.object({ name: text }).nullish() })).nullish(),
  project,
})

function readPush(payload: unknown): GitEvent {
  const { ref, before, after, commits, total_commits_count: total, user_name: user, project: repository } = push.parse(payload)
  const branch = branchOf(ref)
  if (branch === null) return notBranch(ref)
  const listed = commits ?? []
  const head = listed.find((commit) => commit.id === after)
  return {
    kind: 'push',
    repository: repository.path_with_namespace,
    branch,
    before,
    after,
    // The payload does not say it.
    forced: false,
    message: head?.message ?? null,
    author: head?.author?.name ?? user,
    // At most 20 commits are listed. None of an earlier state: the branch may have been reset.
    files: filesOf(listed, before !== null && total !== null && total !== undefined && total <= listed.length),
    defaultBranch: repository.default_branch ?? null,
  }
}

const side = z.object({ path_with_namespace: z.string() }).nullish()
const mergeRequest = z.object({
  user: z.object({ username: text }).nullish(),
  project,
  object_attributes: z.object({
    iid: z.number(),
    action: z.string().nullish(),
    oldrev: z.string().nullish(),
    title: text,
    source_branch: z.string(),
    target_branch: z.string(),
    source_project_id: z.number().nullish(),
    target_project_id: z.number().nullish(),
    source: side,
    target: side,
    last_commit: z.object({ id: z.string(), message: text, author: z.object({ name: text }).nullish() }),
    updated_at: time,
  }),
})

function changeOf(action: string, isPush: boolean): PullRequestEvent['change'] | null {
  switch (action) {
    case 'open':
      return 'opened'
    case 'reopen':
      return 'reopened'
    case 'close':
      return 'closed'
    case 'merge':
      return 'merged'
    case 'update':
      return isPush ? 'synchronized' : null
    default:
      return null
  }
}

function readMergeRequest(payload: unknown): GitEvent {
  const { user, project: repository, object_attributes: request } = mergeRequest.parse(payload)
  const change = changeOf(request.action ?? '', Boolean(request.oldrev))
  if (!change)
    return {
      kind: 'other',
      why: `"${(request.action ?? 'no action').slice(0, 50)}" of merge request ${request.iid} changes nothing that is deployed`,
    }
  return {
    kind: 'pull-request',
    repository: repository.path_with_namespace,
    number: request.iid,
    change,
    headBranch: request.source_branch,
    headSha: request.last_commit.id,
    headRef: `refs/merge-requests/${request.iid}/head`,
    fork: request.source_project_id !== request.target_project_id,
    base: request.target_branch,
    title: request.title ?? '',
    author: request.last_commit.author?.name ?? user?.username ?? null,
    message: request.last_commit.message,
    updatedAt: request.updated_at,
  }
}

/** By the payload's own word for its kind: a system hook calls every event "System Hook". */
const kindOf = z.object({ object_kind: z.string().nullish(), event_name: z.string().nullish() })

/** @throws ZodError when the payload has not the form that GitLab documents */
export function readGitlab(event: string, payload: unknown): GitEvent[] {
  const { object_kind, event_name } = kindOf.parse(payload)
  const kind = object_kind ?? event_name ?? event
  if (kind === 'push') return [readPush(payload)]
  if (kind === 'merge_request') return [readMergeRequest(payload)]
  if (kind === 'tag_push') return [notBranch(z.object({ ref: z.string() }).parse(payload).ref)]
  return [{ kind: 'other', why: `"${kind.slice(0, 50)}" events deploy nothing` }]
}
