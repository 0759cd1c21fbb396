import { createHash } from 'node:crypto'
import { AppError } from '@/shared/errors'
import type { InstanceOwner } from '../driver'
import { labelPrefix, roleLabel } from '../owner'
import { KeyedMutex } from '../pool'
import { asAppError, type Engine, engineMessage, engineStatus } from './engine'
import { bridgePrefix } from './firewall'

const deadlineMs = 20_000

/** Interface names hold 15 characters. */
function bridgeName(installationId: string, projectId: string): string {
  return (
    bridgePrefix +
    createHash('sha256')
      .update(`${installationId}/${projectId}`)
      .digest('hex')
      .slice(0, 15 - bridgePrefix.length)
  )
}

/** All words the engine has for "no subnet left", from 20.10 on. */
const poolExhausted = /could not find an available.*address pool|all predefined address pools have been fully subnetted/i

/** A bridge network per project: instances of one project see each other, and nobody else. */
export class ProjectNetworks {
  private readonly mutex = new KeyedMutex()
  /** Projects with a start under way: their network looks unused and is not. */
  private readonly starting = new Map<string, number>()

  constructor(
    private readonly engine: Engine,
    private readonly installationId: string,
  ) {}

  name(projectId: string): string {
    return `sy-${this.installationId}-${projectId}`
  }

  /** Runs `work` with the project's network in place, and keeps it there meanwhile. */
  async use<T>(owner: InstanceOwner, work: (network: string) => Promise<T>): Promise<T> {
    const { projectId } = owner
    this.starting.set(projectId, (this.starting.get(projectId) ?? 0) + 1)
    try {
      // Docker does not keep network names unique: two that create at once would get two networks of one name.
      await this.mutex.run(projectId, () => this.ensure(owner))
      return await work(this.name(projectId))
    } finally {
      const left = (this.starting.get(projectId) ?? 1) - 1
      if (left > 0) this.starting.set(projectId, left)
      else this.starting.delete(projectId)
    }
  }

  async remove(projectId: string): Promise<void> {
    await this.mutex.run(projectId, () =>
      this.engine.find('remove a network', deadlineMs, (docker, abortSignal) =>
        docker.getNetwork(this.name(projectId)).remove({ abortSignal } as object),
      ),
    )
  }

  private async ensure(owner: InstanceOwner): Promise<void> {
    if (await this.exists(owner.projectId)) return
    try {
      await this.create(owner)
    } catch (error) {
      if (await this.exists(owner.projectId)) return
      if (!poolExhausted.test(engineMessage(error))) throw asAppError('create a network', error)
      await this.freeIdle()
      await this.create(owner).catch((again) => {
        if (!poolExhausted.test(engineMessage(again))) throw asAppError('create a network', again)
        throw new AppError('ERR_UNAVAILABLE', 'Docker has no address range left for another project network', {
          cause: again,
          stillServing: 'All apps that are running keep running.',
          nextAction:
            'Remove networks that nobody needs (docker network ls), or give the engine more ranges: "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}] in /etc/docker/daemon.json, then restart it.',
        })
      })
    }
  }

  private async exists(projectId: string): Promise<boolean> {
    const name = this.name(projectId)
    return (await this.engine.find('look at a network', deadlineMs, (docker) => docker.getNetwork(name).inspect())) !== null
  }

  private create(owner: InstanceOwner): Promise<unknown> {
    return this.engine.call('create a network', deadlineMs, (docker, abortSignal) =>
      docker.createNetwork({
        Name: this.name(owner.projectId),
        Driver: 'bridge',
        CheckDuplicate: true,
        Labels: {
          [roleLabel]: 'network',
          [`${labelPrefix}installationId`]: owner.installationId,
          [`${labelPrefix}teamId`]: owner.teamId,
          [`${labelPrefix}projectId`]: owner.projectId,
          [`${labelPrefix}projectSlug`]: owner.projectSlug,
        },
        Options: { 'com.docker.network.bridge.name': bridgeName(owner.installationId, owner.projectId) },
        abortSignal,
      } as Parameters<typeof docker.createNetwork>[0]),
    )
  }

  /** Gives back the ranges of our own projects that run nothing now. Their next start makes the network again. */
  private async freeIdle(): Promise<void> {
    const label = [`${labelPrefix}installationId=${this.installationId}`, `${roleLabel}=network`]
    const ours = await this.engine.call('list networks', deadlineMs, (docker) => docker.listNetworks({ filters: { label } }))
    for (const network of ours) {
      const projectId = network.Labels?.[`${labelPrefix}projectId`]
      if (!projectId || this.starting.has(projectId)) continue
      // with something attached the engine refuses (403): exactly what is wanted
      await this.engine
        .call('remove a network', deadlineMs, (docker) => docker.getNetwork(network.Id).remove())
        .catch((error) => {
          if (engineStatus(error) === undefined) throw error
        })
    }
  }
}
