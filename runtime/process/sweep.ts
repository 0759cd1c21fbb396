import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { CgroupMounts } from '../cgroup'
import { listCgroups, removeEmptyCgroup } from './groups'
import { isRoot, type Layout } from './layout'
import { readRecord } from './record'

/** Remains that are older than this belong to no start in progress. */
const settledMs = 120_000

/** Removes remains of starts that were interrupted before the record was written: half-unpacked releases, directories without a record. */
export async function sweepRemains(paths: Layout): Promise<void> {
  for (const name of await namesIn(paths.instances)) {
    const directory = path.join(paths.instances, name)
    if (!(await readRecord(paths, name).catch(() => null)) && (await isSettled(directory)) && !(await namesIn(directory)).includes('log'))
      await rm(directory, { recursive: true, force: true })
  }
  for (const project of await namesIn(paths.projects)) {
    const releases = path.join(paths.projects, project, 'releases')
    for (const name of await namesIn(releases)) {
      const directory = path.join(releases, name)
      if (name.startsWith('.') && (await isSettled(directory))) await rm(directory, { recursive: true, force: true })
    }
  }
}

/**
 * Removes empty control groups of instances that are gone, after an interrupted start or stop. `starting` must be read after the groups are
 * listed: each listed group of a start in progress is then in `starting` or has a record.
 */
export async function sweepGroups(
  paths: Layout,
  installationId: string,
  starting: () => ReadonlySet<string>,
  mounts?: CgroupMounts | null,
): Promise<void> {
  if (!isRoot()) return
  const prefix = `${installationId}.`
  const own = (await listCgroups(mounts)).filter((name) => name.startsWith(prefix))
  const underWay = starting()
  for (const name of own) {
    const instanceId = name.slice(prefix.length)
    if (underWay.has(instanceId)) continue
    const record = await readRecord(paths, instanceId)
    if (!record || record.stoppedAt !== null) await removeEmptyCgroup(name, mounts)
  }
}

const namesIn = (directory: string) => readdir(directory).catch(() => [] as string[])

async function isSettled(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => null)
  return found !== null && Date.now() - found.mtimeMs > settledMs
}
