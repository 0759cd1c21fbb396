import type { Prisma } from '@/server/database/generated/client'
import { isAppError, type WireError } from '@/shared/errors'
import { canMove, type DeploymentStatus, deploymentTransitions, type StepStatus } from '@/shared/states'
import type { ScopedClient, ScopedTransaction } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { writeEvent } from '../outbox/write-event'

/** Thrown when another worker has taken over the environment: this worker must write nothing more. */
export class LeaseLost extends Error {
  override name = 'LeaseLost'
}

export interface RecordIds {
  teamId: string
  projectId: string
  environmentId: string
  deploymentId: string
}

type Tx = ScopedTransaction

export interface Writer {
  owner: string
  attempt: number
  /** Masks secrets in all texts shown to users. */
  mask: (text: string) => string
}
/** Informational, for people reading the row: the fencing token alone protects writes. */
const leaseMs = 60_000
type DeploymentPatch = Omit<Prisma.DeploymentUncheckedUpdateInput, 'status'>

/**
 * The part of a deployment that a worker runs. Builds of an environment run beside its switches, so a build holds its deployment alone and
 * a release holds the whole environment.
 */
export type DeploymentPart = 'build' | 'release'

/**
 * The only writer of a deployment's row and steps. Every write checks the fencing token of what the worker holds in the same transaction,
 * so that a worker that resumes after a long pause changes nothing (Kleppmann, "How to do distributed locking", 2016).
 */
export class DeploymentRecord {
  private constructor(
    private readonly db: ScopedClient,
    private readonly bus: ChangeBus,
    readonly ids: RecordIds,
    private readonly part: DeploymentPart,
    private readonly token: bigint,
    private readonly attempt: number,
    private readonly mask: (text: string) => string,
  ) {}

  /** Takes new fencing tokens, which fence off every earlier writer of the deployment and, for a release, of the environment. */
  static async take(db: ScopedClient, bus: ChangeBus, ids: RecordIds, writer: Writer, part: DeploymentPart): Promise<DeploymentRecord> {
    const token = await db.$transaction(async (tx) => {
      const next = { data: { fencingToken: { increment: 1 } }, select: { fencingToken: true } } as const
      const environment =
        part === 'release' &&
        (await tx.environment.update({ where: { id: ids.environmentId }, ...next, data: { ...next.data, leaseOwner: writer.owner } }))
      const deployment = await tx.deployment.update({ where: { id: ids.deploymentId }, ...next })
      return (environment || deployment).fencingToken
    })
    return new DeploymentRecord(db, bus, ids, part, token, writer.attempt, writer.mask)
  }

  /** Runs `work` in a transaction that fails with LeaseLost when this writer has been fenced off. */
  async fenced<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const result = await this.db.$transaction(async (tx) => {
      // UPDATE instead of SELECT: it locks the row, so that no other worker takes over between this check and the commit.
      const held = await this.hold(tx)
      if (held.count === 0) throw new LeaseLost(`deployment ${this.ids.deploymentId} has another writer`)
      return work(tx)
    })
    void this.announce()
    return result
  }

  private hold(tx: Tx): Promise<{ count: number }> {
    const { deploymentId, environmentId } = this.ids
    const fencingToken = this.token
    if (this.part === 'build') return tx.deployment.updateMany({ where: { id: deploymentId, fencingToken }, data: { fencingToken } })
    return tx.environment.updateMany({
      where: { id: environmentId, fencingToken },
      data: { leaseExpiresAt: new Date(Date.now() + leaseMs) },
    })
  }

  /** Changes the status. @throws for a transition that `shared/states.ts` does not allow (a bug) */
  async move(to: DeploymentStatus, patch: DeploymentPatch = {}): Promise<void> {
    await this.fenced((tx) => this.moveWithin(tx, to, patch))
  }

  async moveWithin(tx: Tx, to: DeploymentStatus, patch: DeploymentPatch = {}): Promise<void> {
    const { status } = await tx.deployment.findUniqueOrThrow({ where: { id: this.ids.deploymentId }, select: { status: true } })
    if (status !== to && !canMove(deploymentTransitions, status, to))
      throw new Error(`deployment ${this.ids.deploymentId}: ${status} cannot become ${to}`)
    await tx.deployment.update({ where: { id: this.ids.deploymentId }, data: { ...patch, status: to } })
  }

  async patch(patch: DeploymentPatch): Promise<void> {
    await this.fenced((tx) => tx.deployment.update({ where: { id: this.ids.deploymentId }, data: patch }))
  }

  /** Sets the final status and the error. */
  async fail(status: 'FAILED' | 'CANCELED', given: WireError | null): Promise<void> {
    const error = given && maskTexts(given, this.mask)
    await this.fenced(async (tx) => {
      await this.moveWithin(tx, status, { endedAt: new Date(), ...(error ? { error: error as unknown as Prisma.InputJsonObject } : {}) })
      await tx.step.updateMany({
        where: { deploymentId: this.ids.deploymentId, status: 'running' },
        data: { status: status === 'FAILED' ? 'failed' : 'canceled', endedAt: new Date() },
      })
      const { teamId, projectId, deploymentId, environmentId } = this.ids
      const kind = status === 'FAILED' ? 'deployment.failed' : 'deployment.canceled'
      await writeEvent(tx, { teamId, projectId, kind, payload: { deploymentId, environmentId, code: error?.code ?? null } })
    })
  }

  /** Records a running step; call before the step's side effect. Returns the step's id. */
  async beginStep(name: string): Promise<bigint> {
    const step = await this.fenced((tx) =>
      tx.step.create({ data: { teamId: this.ids.teamId, deploymentId: this.ids.deploymentId, name, attempt: this.attempt } }),
    )
    return step.id
  }

  async endStep(id: bigint, outcome: { status: Exclude<StepStatus, 'running'>; detail?: string; cached?: boolean }): Promise<void> {
    await this.fenced((tx) =>
      tx.step.updateMany({
        where: { id, status: 'running' },
        data: {
          status: outcome.status,
          detail: outcome.detail === undefined ? null : this.mask(outcome.detail),
          cached: outcome.cached ?? false,
          endedAt: new Date(),
        },
      }),
    )
  }

  /** Runs `work` as a recorded step. A failure is rethrown with the step's name. */
  async step<T>(name: string, work: (id: bigint) => Promise<{ value: T; detail?: string }>): Promise<T> {
    const id = await this.beginStep(name)
    try {
      const { value, detail } = await work(id)
      await this.endStep(id, { status: 'done', ...(detail ? { detail } : {}) })
      return value
    } catch (error) {
      const canceled = isAppError(error) && error.code === 'ERR_CANCELED'
      if (!(error instanceof LeaseLost))
        await this.endStep(id, {
          status: canceled ? 'canceled' : 'failed',
          // The message of an unexpected error is for the operator's log only; users see its id in the deployment's error.
          detail: isAppError(error) ? this.mask(error.message).slice(0, 500) : 'an error inside Switchyard',
        })
      throw error
    }
  }

  /** Marks steps that a dead worker left running as interrupted. */
  async interruptSteps(): Promise<void> {
    await this.fenced((tx) =>
      tx.step.updateMany({
        where: { deploymentId: this.ids.deploymentId, status: 'running' },
        data: { status: 'interrupted', endedAt: new Date(), detail: 'the control process was stopped during this step' },
      }),
    )
  }

  private announce(): Promise<void> {
    return this.bus.publish({ kind: 'deployment', id: this.ids.deploymentId, teamId: this.ids.teamId, projectId: this.ids.projectId })
  }
}

/** Masks secrets in every text of an error. */
function maskTexts(error: WireError, mask: (text: string) => string): WireError {
  return Object.fromEntries(
    Object.entries(error).map(([field, value]) => [field, typeof value === 'string' ? mask(value) : value]),
  ) as unknown as WireError
}
