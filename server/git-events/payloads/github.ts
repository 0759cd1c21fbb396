import { z } from 'zod'
import type { GitEvent, PullRequestEvent } from '../event'
import { branchOf, changedFiles, filesOf, notBranch, objectId, text, time } from './fields'

/** Payloads of GitHub, and of Gitea and Forgejo, which have the same form. */

const repository = z.object({ full_name: z.string(), default_branch: z.string().nullish() })
const commit = changedFiles.extend({ id: z.string(), message: text, author: z.object({ name: text }).nullish() })
export const githubPush = z.object({
  ref: z.string(),
  before: objectId,
  after: objectId,
  forced: z.boolean().nullish(),
  commits: z.array(commit).nullish(),
  total_commits: z.number().nullish(),
  head_commit: commit.nullish(),
  repository,
  pusher: z.object({ name: text, login: text }).nullish(),
})

const side = z.object({ ref: z.string(), sha: z.string(), repo: repository.nullish() })
export const githubPullRequest = z.object({
  action: z.string(),
  number: z.number(),
  pull_request: z.object({
    title: text,
    merged: z.boolean().nullish(),
    user: z.object({ login: text }).nullish(),
    head: side,
    base: side,
    updated_at: time,
  }),
  repository,
})

/** Commits that GitHub lists in a push. */
const listedCommits = 2048

export function readGithubPush(payload: unknown): GitEvent {
  const push = githubPush.parse(payload)
  const branch = branchOf(push.ref)
  if (branch === null) return notBranch(push.ref)
  // Gitea's test delivery is a push from the head to itself.
  if (push.before !== null && push.before === push.after) return { kind: 'ping' }
  const commits = push.commits ?? []
  const head = push.head_commit ?? commits.find((one) => one.id === push.after)
  const complete = !push.forced && commits.length < listedCommits && (push.total_commits ?? 0) <= commits.length
  return {
    kind: 'push',
    repository: push.repository.full_name,
    branch,
    before: push.before,
    after: push.after,
    forced: push.forced ?? false,
    message: head?.message ?? null,
    author: head?.author?.name ?? push.pusher?.name ?? push.pusher?.login ?? null,
    files: filesOf(commits, complete),
    defaultBranch: push.repository.default_branch ?? null,
  }
}

const changes: Readonly<Record<string, PullRequestEvent['change']>> = {
  opened: 'opened',
  reopened: 'reopened',
  synchronize: 'synchronized',
  synchronized: 'synchronized',
  closed: 'closed',
}

export function readGithubPullRequest(payload: unknown): GitEvent {
  const { action, number, pull_request: pull, repository: base } = githubPullRequest.parse(payload)
  const change = Object.hasOwn(changes, action) ? changes[action] : undefined
  if (!change) return { kind: 'other', why: `"${action.slice(0, 50)}" of pull request ${number} changes nothing that is deployed` }
  return {
    kind: 'pull-request',
    repository: base.full_name,
    number,
    change: change === 'closed' && pull.merged ? 'merged' : change,
    headBranch: pull.head.ref,
    headSha: pull.head.sha,
    headRef: `refs/pull/${number}/head`,
    // A fork that was deleted since is named by no repository.
    fork: pull.head.repo?.full_name.toLowerCase() !== (pull.base.repo ?? base).full_name.toLowerCase(),
    base: pull.base.ref,
    title: pull.title ?? '',
    author: pull.user?.login ?? null,
    message: null,
    updatedAt: pull.updated_at,
  }
}

/** @throws ZodError when the payload has not the form that GitHub documents */
export function readGithub(event: string, payload: unknown): GitEvent[] {
  if (event === 'push') return [readGithubPush(payload)]
  if (event === 'pull_request') return [readGithubPullRequest(payload)]
  return event === 'ping' ? [{ kind: 'ping' }] : [{ kind: 'other', why: `"${event}" events deploy nothing` }]
}

/** Gitea tells the kinds of a pull request's changes apart by names like `pull_request_sync`, too. */
export function readGitea(event: string, payload: unknown): GitEvent[] {
  if (event === 'push') return [readGithubPush(payload)]
  if (event === 'pull_request' || event === 'pull_request_sync') return [readGithubPullRequest(payload)]
  return [{ kind: 'other', why: `"${event}" events deploy nothing` }]
}
