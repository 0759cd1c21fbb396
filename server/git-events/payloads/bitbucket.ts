import { z } from 'zod'
import type { GitEvent, PullRequestEvent } from '../event'
import { objectId, text, time } from './fields'

/** Payloads of Bitbucket Cloud (`repo:push`, `pullrequest:…`) and of Bitbucket Data Center (`repo:refs_changed`, `pr:…`). */

const repository = z.object({ full_name: z.string(), mainbranch: z.object({ name: z.string() }).nullish() })
const state = z
  .object({
    type: z.string(),
    name: z.string(),
    target: z.object({
      hash: objectId,
      message: text,
      author: z.object({ raw: text, display_name: text, user: z.object({ display_name: text }).nullish() }).nullish(),
    }),
  })
  .nullish()
const cloudPush = z.object({
  repository,
  actor: z.object({ display_name: text }).nullish(),
  push: z.object({ changes: z.array(z.object({ new: state, old: state, forced: z.boolean().nullish() })).max(1000) }),
})

/** One push may change several branches and tags. */
function readCloudPush(payload: unknown): GitEvent[] {
  const { repository: where, actor, push } = cloudPush.parse(payload)
  return push.changes.map((change): GitEvent => {
    const ref = change.new ?? change.old
    if (ref?.type !== 'branch') return { kind: 'other', why: ref ? `${ref.type} ${ref.name.slice(0, 200)} is no branch` : 'no branch was pushed' }
    const author = change.new?.target.author
    return {
      kind: 'push',
      repository: where.full_name,
      branch: ref.name,
      before: change.old?.target.hash ?? null,
      after: change.new?.target.hash ?? null,
      forced: change.forced ?? false,
      message: change.new?.target.message ?? null,
      author: author?.user?.display_name ?? author?.display_name ?? author?.raw?.replace(/\s*<.*>$/, '') ?? actor?.display_name ?? null,
      files: null,
      defaultBranch: where.mainbranch?.name ?? null,
    }
  })
}

const cloudSide = z.object({
  branch: z.object({ name: z.string() }),
  commit: z.object({ hash: z.string() }),
  repository: repository.nullish(),
})
const cloudPull = z.object({
  repository,
  pullrequest: z.object({
    id: z.number(),
    title: text,
    author: z.object({ display_name: text }).nullish(),
    source: cloudSide,
    destination: cloudSide,
    updated_on: time,
  }),
})

const changes: Readonly<Record<string, PullRequestEvent['change']>> = {
  'pullrequest:created': 'opened',
  'pullrequest:updated': 'synchronized',
  'pullrequest:fulfilled': 'merged',
  'pullrequest:rejected': 'closed',
  'pr:opened': 'opened',
  'pr:from_ref_updated': 'synchronized',
  'pr:reopened': 'reopened',
  'pr:merged': 'merged',
  'pr:declined': 'closed',
  'pr:deleted': 'closed',
}

function readCloudPull(change: PullRequestEvent['change'], payload: unknown): GitEvent {
  const { repository: where, pullrequest: pull } = cloudPull.parse(payload)
  return {
    kind: 'pull-request',
    repository: where.full_name,
    number: pull.id,
    change,
    headBranch: pull.source.branch.name,
    headSha: pull.source.commit.hash,
    headRef: null,
    fork: pull.source.repository?.full_name.toLowerCase() !== where.full_name.toLowerCase(),
    base: pull.destination.branch.name,
    title: pull.title ?? '',
    author: pull.author?.display_name ?? null,
    message: null,
    updatedAt: pull.updated_on,
  }
}

const serverRepository = z.object({ slug: z.string(), project: z.object({ key: z.string() }) })
const serverPath = ({ slug, project }: z.infer<typeof serverRepository>) => `${project.key}/${slug}`
const serverPush = z.object({
  repository: serverRepository,
  actor: z.object({ displayName: text }).nullish(),
  changes: z
    .array(
      z.object({
        ref: z.object({ displayId: z.string(), type: z.string() }),
        fromHash: objectId,
        toHash: objectId,
      }),
    )
    .max(1000),
  toCommit: z.object({ id: z.string(), message: text, author: z.object({ name: text }).nullish() }).nullish(),
})

function readServerPush(payload: unknown): GitEvent[] {
  const push = serverPush.parse(payload)
  return push.changes.map(({ ref, fromHash, toHash }): GitEvent => {
    if (ref.type !== 'BRANCH') return { kind: 'other', why: `${ref.type.toLowerCase()} ${ref.displayId.slice(0, 200)} is no branch` }
    const head = push.toCommit?.id === toHash ? push.toCommit : null
    return {
      kind: 'push',
      repository: serverPath(push.repository),
      branch: ref.displayId,
      before: fromHash,
      after: toHash,
      forced: false,
      message: head?.message ?? null,
      author: head?.author?.name ?? push.actor?.displayName ?? null,
      files: null,
      defaultBranch: null,
    }
  })
}

const serverSide = z.object({ displayId: z.string(), latestCommit: z.string(), repository: serverRepository })
const serverPull = z.object({
  pullRequest: z.object({
    id: z.number(),
    title: text,
    updatedDate: time,
    author: z.object({ user: z.object({ displayName: text }).nullish() }).nullish(),
    fromRef: serverSide,
    toRef: serverSide,
  }),
})

function readServerPull(change: PullRequestEvent['change'], payload: unknown): GitEvent {
  const { pullRequest: pull } = serverPull.parse(payload)
  const [from, to] = [serverPath(pull.fromRef.repository), serverPath(pull.toRef.repository)]
  return {
    kind: 'pull-request',
    repository: to,
    number: pull.id,
    change,
    headBranch: pull.fromRef.displayId,
    headSha: pull.fromRef.latestCommit,
    headRef: `refs/pull-requests/${pull.id}/from`,
    fork: from.toLowerCase() !== to.toLowerCase(),
    base: pull.toRef.displayId,
    title: pull.title ?? '',
    author: pull.author?.user?.displayName ?? null,
    message: null,
    updatedAt: pull.updatedDate,
  }
}

/** @throws ZodError when the payload has not the form that Bitbucket documents */
export function readBitbucket(event: string, payload: unknown): GitEvent[] {
  if (event === 'repo:push') return readCloudPush(payload)
  if (event === 'repo:refs_changed') return readServerPush(payload)
  if (event === 'diagnostics:ping') return [{ kind: 'ping' }]
  const change = Object.hasOwn(changes, event) ? changes[event] : undefined
  if (change) return [event.startsWith('pr:') ? readServerPull(change, payload) : readCloudPull(change, payload)]
  return [{ kind: 'other', why: `"${event}" events deploy nothing` }]
}
