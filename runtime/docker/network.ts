import { createHash } from 'node:crypto'
import { AppError } from '@/shared/errors'
import type { InstanceOwner } from '../driver'
import { labelPrefix, roleLabel } from '../owner'
import { KeyedMutex } from '../pool'
import { asAppError, type Engine, engineMessage, engineStatus } from './engine'
import { bridgePrefix } from './firewall'

const deadlineMs = 20_000

/** Interface names have at most 15 characters. */
function bridgeName(installationId: string, projectId: string): string {
  return (
    bridgePrefix +
    createHash('sha256')
      .update(`${installationId}/${projectId}`)
      .digest('hex')
      .slice(0, 15 - bridgePrefix.length)
  )
}

/** The engine's messages for "no subnet left", from version 20.10 on. */
const poolExhausted = /could not find an available.*address pool|all predefined address pools have been fully subnetted/i

/** One bridge network per project: only instances of the same project reach each other. */
export class ProjectNetworks {
  private readonly mutex = new KeyedMutex()
  /** Projects with a start in progress: their network has no container yet but is in use. */
  private readonly starting = new Map<string, number>()

  constructor(
    private readonly engine: Engine,
    private readonly installationId: string,
  ) {}

  name(projectId: string): string {
    return `sy-${this.installationId}-${projectId}`
  }

  /** Runs `work` while the project's network exists and is protected from removal. */
  async use<T>(owner: InstanceOwner, work: (network: string) => Promise<T>): Promise<T> {
    const { projectId } = owner
    this.starting.set(projectId, (this.starting.get(projectId) ?? 0) + 1)
    try {
      // Docker network names are not unique: two concurrent creations would make two networks with the same name.
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

  /** Removes networks of projects without containers, to free address ranges. The next start creates them again. */
  private async freeIdle(): Promise<void> {
    const label = [`${labelPrefix}installationId=${this.installationId}`, `${roleLabel}=network`]
    const ours = await this.engine.call('list networks', deadlineMs, (docker) => docker.listNetworks({ filters: { label } }))
    for (const network of ours) {
      const projectId = network.Labels?.[`${labelPrefix}projectId`]
      if (!projectId || this.starting.has(projectId)) continue
      // 403: a container is attached, so the network must stay.
      await this.engine
        .call('remove a network', deadlineMs, (docker) => docker.getNetwork(network.Id).remove())
        .catch((error) => {
          if (engineStatus(error) === undefined) throw error
        })
    }
  }
}
