import { chown, mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { BlobStore } from '@/storage/blob-store'
import type { InstanceOwner } from '../driver'
import { KeyedMutex } from '../pool'
import { currentRelease, ensureRelease, pointCurrent } from './bundle'
import { isRoot, type Layout } from './layout'
import { allProcesses, ownerOfProcess, signal } from './proc'
import { listRecords } from './record'
import { existingUid, releaseUid, uidOfProject } from './users'

/** Unpacked releases that are kept although no instance runs them, for fast rollbacks. */
const keptReleases = 3

export interface Release {
  directory: string
  uid: number
  gid: number
  /** Call at the end of a start: from now on, the record of the instance protects the release. */
  done(): void
  /** Call after a failed start: removes the unpacked release unless another instance uses it. */
  drop(): Promise<void>
}

/** Projects on this machine: their users and their unpacked releases. */
export class Releases {
  private readonly mutex = new KeyedMutex()
  /** Release directories of starts without a record yet, by instance id. */
  private readonly launching = new Map<string, string>()

  constructor(
    private readonly paths: Layout,
    private readonly storage: BlobStore,
  ) {}

  /** Unpacks the release of a deployment for its project's user, if necessary. */
  acquire(owner: InstanceOwner, digest: string): Promise<Release> {
    const { projectId, deploymentId, instanceId } = owner
    return this.mutex.run(projectId, async () => {
      const uid = await uidOfProject(this.paths, projectId)
      const gid = isRoot() ? uid : (process.getgid?.() ?? uid)
      await mkdir(this.paths.project(projectId), { recursive: true, mode: 0o750 })
      if (isRoot()) await chown(this.paths.project(projectId), 0, gid)
      const { directory, created } = await ensureRelease(this.paths, this.storage, { projectId, deploymentId, digest, uid, gid })
      this.launching.set(instanceId, directory)
      return {
        directory,
        uid,
        gid,
        done: () => void this.launching.delete(instanceId),
        drop: () =>
          created
            ? this.mutex.run(projectId, () => this.removeIdle(projectId, instanceId, (name) => name === path.basename(directory)))
            : Promise.resolve(),
      }
    })
  }

  /** Instances whose start is in progress. */
  starting(): ReadonlySet<string> {
    return new Set(this.launching.keys())
  }

  /** Points `current` at the release that was started last. */
  makeCurrent(projectId: string, directory: string): Promise<void> {
    return this.mutex.run(projectId, () => pointCurrent(this.paths, projectId, directory))
  }

  /** Call after a stop: removes releases without instances, except the newest. */
  prune(projectId: string): Promise<void> {
    return this.mutex.run(projectId, () => this.removeIdle(projectId, null, (_, age) => age >= keptReleases))
  }

  /** Call after the logs of an instance were removed: removes its release if unused. */
  forget(projectId: string, directory: string): Promise<void> {
    return this.mutex.run(projectId, () => this.removeIdle(projectId, null, (name) => name === path.basename(directory)))
  }

  /** Call when the project has no instance left: ends all processes of its user and removes its user id and files. */
  remove(projectId: string): Promise<void> {
    return this.mutex.run(projectId, async () => {
      const uid = await existingUid(this.paths, projectId)
      if (uid !== null) {
        for (const { pid } of await allProcesses()) if ((await ownerOfProcess(pid)) === uid) signal(pid, 'SIGKILL')
        await releaseUid(this.paths, uid)
      }
      await rm(this.paths.project(projectId), { recursive: true, force: true })
    })
  }

  /** Removes the releases that `select` chooses among those without instance, start or `current`; `age` 0 is the newest. */
  private async removeIdle(projectId: string, failed: string | null, select: (name: string, age: number) => boolean): Promise<void> {
    const current = await currentRelease(this.paths, projectId)
    const records = (await listRecords(this.paths)).filter((record) => record.stoppedAt === null && record.owner.instanceId !== failed)
    const starting = [...this.launching].filter(([instanceId]) => instanceId !== failed).map(([, directory]) => directory)
    const used = new Set([...records.map((record) => record.releaseDirectory), ...starting])
    const releases = this.paths.releases(projectId)
    const idle = (await readdir(releases).catch(() => [])).filter(
      (name) => !name.startsWith('.') && name !== current && !used.has(path.join(releases, name)),
    )
    for (const [age, name] of idle.sort().reverse().entries())
      if (select(name, age)) await rm(path.join(releases, name), { recursive: true, force: true })
  }
}
