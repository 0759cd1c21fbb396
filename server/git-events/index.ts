import type { Pool } from 'pg'
import type { z } from 'zod'
import type { DeliveryView, DeployHookView, deliveriesQuery, deployHookInput, GitHookView, GitProvider } from '@/shared/git-events'
import type { Actor } from '../actor'
import { enqueue } from '../jobs/queue'
import type { JobContext } from '../jobs/worker'
import { decideProject } from './decide'
import { approveDelivery, approvePreview, listDeliveries, replayDelivery } from './deliveries'
import { createDeployHook, type DeployHookDeps, findDeployHook, listDeployHooks, removeDeployHook, useDeployHook } from './deploy-hooks'
import { type HookDeps, rotateSecret, showHook } from './hooks'
import type { GitEventDeps } from './ports'
import { jobKey, type OpenHook, openHook, type Receipt, receiveDelivery } from './receive'
import type { Delivery } from './verify'

export interface GitEvents {
  hook(actor: Actor, project: string): Promise<GitHookView>
  rotateSecret(actor: Actor, input: { project: string; keepPreviousMinutes: number }): Promise<GitHookView>
  /** For the transport, in two steps: the body is read only when the hook exists and the delivery names a proof. */
  open(provider: GitProvider, hookId: string, headers: Headers): Promise<OpenHook>
  receive(hook: OpenHook, provider: GitProvider, delivery: Delivery, count: () => void): Promise<Receipt>
  deliveries(actor: Actor, query: z.output<typeof deliveriesQuery>): Promise<{ items: DeliveryView[]; nextCursor: string | null }>
  replay(actor: Actor, id: string): Promise<DeliveryView>
  approve(actor: Actor, id: string): Promise<DeliveryView>
  approvePreview(actor: Actor, environmentId: string, commitSha: string): Promise<void>
  deployHooks(actor: Actor, project: string): Promise<DeployHookView[]>
  createDeployHook(actor: Actor, input: z.output<typeof deployHookInput> & { project: string }): Promise<DeployHookView & { url: string }>
  removeDeployHook(actor: Actor, id: string): Promise<void>
  /** Deploys by a secret address. `count` is called with the hook's id before anything is done, and throws when it was used too often. */
  useDeployHook(token: string, count: (hookId: string) => void): Promise<{ deploymentId: string; branch: string; commitSha: string }>
}

export type GitEventsDeps = GitEventDeps & HookDeps & DeployHookDeps & { pool: Pool }

/** Use-cases around the events of Git hosts. */
export function createGitEvents(deps: GitEventsDeps): GitEvents {
  return {
    hook: (actor, project) => showHook(deps, actor, project),
    rotateSecret: (actor, input) => rotateSecret(deps, actor, input),
    open: (provider, hookId, headers) => openHook(deps, provider, hookId, headers),
    receive: (hook, provider, delivery, count) => receiveDelivery(deps, hook, provider, delivery, count),
    deliveries: (actor, query) => listDeliveries(deps, actor, query),
    replay: (actor, id) => replayDelivery(deps, actor, id),
    approve: (actor, id) => approveDelivery(deps, actor, id),
    approvePreview: (actor, environmentId, commitSha) => approvePreview(deps, actor, environmentId, commitSha),
    deployHooks: (actor, project) => listDeployHooks(deps, actor, project),
    createDeployHook: (actor, input) => createDeployHook(deps, actor, input),
    removeDeployHook: (actor, id) => removeDeployHook(deps, actor, id),
    async useDeployHook(token, count) {
      const hook = await findDeployHook(deps, token)
      count(hook.id)
      return useDeployHook(deps, hook)
    },
  }
}

/** The job that decides about the pending events of a project. */
export async function runGitEvents(deps: GitEventDeps & { pool: Pool }, projectId: string, { signal }: JobContext): Promise<void> {
  const laterMs = await decideProject(deps, projectId, signal)
  if (laterMs !== null) await queueGitEvents(deps.pool, projectId, laterMs)
}

const queueGitEvents = (pool: Pool, projectId: string, delayMs: number): Promise<void> =>
  enqueue(pool, 'git-events', { projectId }, { exclusiveKey: jobKey(projectId), delayMs })

/** Queues the job of every project that has pending events: those whose job failed for good are taken up again at the start. */
export async function queuePendingGitEvents(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ projectId: string }>(`SELECT DISTINCT "projectId" FROM "GitDelivery" WHERE "decision" = 'pending'`)
  for (const { projectId } of rows) await queueGitEvents(pool, projectId, 0)
}
