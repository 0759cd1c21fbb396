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

/** Releases kept unpacked besides those that run: going back to one of them unpacks nothing. */
const keptReleases = 3

export interface Release {
  directory: string
  uid: number
  gid: number
  /** The start has come to its end: from now on a record speaks for the release, or nothing does. */
  done(): void
  /** The start has failed: what it unpacked goes, unless somebody else runs from it by now. */
  drop(): Promise<void>
}

/** Projects on this machine: their user, and their releases on disk. */
export class Releases {
  private readonly mutex = new KeyedMutex()
  /** Directories of starts that have no record yet, by instance. */
  private readonly launching = new Map<string, string>()

  constructor(
    private readonly paths: Layout,
    private readonly storage: BlobStore,
  ) {}

  /** The release of a deployment, unpacked for its project's user. */
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

  /** Instances whose start is under way. */
  starting(): ReadonlySet<string> {
    return new Set(this.launching.keys())
  }

  /** `current` is what was started last. */
  makeCurrent(projectId: string, directory: string): Promise<void> {
    return this.mutex.run(projectId, () => pointCurrent(this.paths, projectId, directory))
  }

  /** After a stop: few releases that run nowhere stay. */
  prune(projectId: string): Promise<void> {
    return this.mutex.run(projectId, () => this.removeIdle(projectId, null, (_, age) => age >= keptReleases))
  }

  /** After the last trace of an instance is gone. */
  forget(projectId: string, directory: string): Promise<void> {
    return this.mutex.run(projectId, () => this.removeIdle(projectId, null, (name) => name === path.basename(directory)))
  }

  /** The project has no instance any more: its user's processes, its number and its files go. */
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

  /** Removes what `select` names of the releases that nobody runs, starts, or calls current; `age` 0 is the newest of them. */
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
