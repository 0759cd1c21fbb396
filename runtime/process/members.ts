import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '@/shared/errors'
import { freezeCgroup, isCgroupFrozen, killCgroup, membersOfCgroup, removeCgroup } from './groups'
import { isRoot, type Layout } from './layout'
import { allProcesses, environmentHolds, groupNameOf, ownerOfProcess, type ProcessStat, signal, statOf } from './proc'
import { type InstanceRecord, listRecords, readRecord } from './record'

/** Variable in the environment of every app: identifies processes that left their session, if there is no control group. */
export const instanceVariable = 'SWITCHYARD_INSTANCE_ID'

const killDeadlineMs = 10_000
const pollMs = 20

/** All processes of the instance: by control group, by session, and by the variable in their environment. Zombies do not count. */
export async function membersOf(record: InstanceRecord): Promise<ProcessStat[]> {
  const inGroup = new Set(record.cgroup ? await membersOfCgroup(record.cgroup) : [])
  const alive = (await allProcesses()).filter((one) => one.state !== 'Z' && one.state !== 'X' && one.pid !== process.pid)
  // Without root, a process cannot leave its control group.
  if (record.cgroup)
    return alive.filter((one) => inGroup.has(one.pid) || (one.pid === record.process.pid && one.startTicks === record.process.startTicks))
  // Session ids are reused: only a process that is younger than the instance can belong to it.
  const session = (one: ProcessStat) => one.session === record.process.pid && one.startTicks >= record.process.startTicks
  const marked = await Promise.all(
    alive.map((one) => session(one) || environmentHolds(one.pid, record.uid, `${instanceVariable}=${record.owner.instanceId}`)),
  )
  return alive.filter((_, index) => marked[index])
}

/** Sends SIGTERM, waits up to `graceMs` for the app to exit, then kills the remaining processes. Returns when no process is left. */
export async function endInstance(record: InstanceRecord, graceMs: number): Promise<void> {
  if (graceMs > 0 && (await statOf(record.process))) {
    await wakeMembers(record)
    // Signal the whole process group, as a terminal does: `npm start` and `sh -c` do not forward signals.
    if (!signal(-record.process.pid, 'SIGTERM')) signal(record.process.pid, 'SIGTERM')
    await until(graceMs, async () => (await statOf(record.process)) === null)
  }
  const gone = await until(killDeadlineMs, async () => {
    if (record.cgroup) await killCgroup(record.cgroup)
    const left = await membersOf(record)
    for (const one of left) signal(one.pid, 'SIGKILL')
    return left.length === 0
  })
  if (!gone)
    throw new AppError('ERR_DEADLINE', `Processes of the instance ${record.owner.instanceId} did not end although they were killed`, {
      nextAction: 'They hang in the kernel, most likely on a disk or network file system that does not answer.',
    })
  // The kernel releases a group shortly after its last process.
  if (record.cgroup) {
    const { cgroup } = record
    await until(killDeadlineMs, () =>
      removeCgroup(cgroup).then(
        () => true,
        () => false,
      ),
    )
  }
}

/**
 * Kills all processes of a project's user that belong to no instance: processes that an app moved out of its session. `starting`: instances
 * without a record yet. Does nothing without root, because projects then share a user.
 */
export async function endStrays(paths: Layout, installationId: string, uid: number, starting: ReadonlySet<string> = new Set()): Promise<void> {
  if (!isRoot() || uid === 0) return
  await until(killDeadlineMs, async () => {
    const strays = await straysOf(paths, installationId, uid, starting)
    for (const pid of strays) signal(pid, 'SIGKILL')
    return strays.length === 0
  })
}

async function straysOf(paths: Layout, installationId: string, uid: number, starting: ReadonlySet<string>): Promise<number[]> {
  const alive = (await allProcesses()).filter((one) => one.state !== 'Z' && one.state !== 'X')
  const owners = await Promise.all(alive.map((one) => ownerOfProcess(one.pid)))
  const own = alive.filter((_, index) => owners[index] === uid).map((one) => one.pid)
  if (own.length === 0) return []
  const records = (await listRecords(paths)).filter((record) => record.uid === uid && record.stoppedAt === null)
  // Without control groups, session and environment variable identify the processes.
  const members = new Set((await Promise.all(records.filter((record) => !record.cgroup).map(membersOf))).flat().map((one) => one.pid))
  const owned = async (pid: number): Promise<boolean> => {
    if (members.has(pid)) return true
    const [installation, instanceId] = (await groupNameOf(pid))?.split('.') ?? []
    if (instanceId && installation !== installationId) return true
    // A group without a record belongs to a start in progress.
    if (instanceId) return !(await readRecord(paths, instanceId).catch(() => null))?.stoppedAt
    for (const one of starting) if (await environmentHolds(pid, uid, `${instanceVariable}=${one}`)) return true
    return false
  }
  const kept = await Promise.all(own.map(owned))
  return own.filter((_, index) => !kept[index])
}

export async function sleepMembers(record: InstanceRecord): Promise<void> {
  if (record.cgroup && (await freezeCgroup(record.cgroup, true))) {
    const { cgroup } = record
    await until(killDeadlineMs, () => isCgroupFrozen(cgroup))
    return
  }
  for (const one of await membersOf(record)) signal(one.pid, 'SIGSTOP')
}

export async function wakeMembers(record: InstanceRecord): Promise<void> {
  if (record.cgroup && (await freezeCgroup(record.cgroup, false))) return
  for (const one of await membersOf(record)) signal(one.pid, 'SIGCONT')
}

export async function isAsleep(record: InstanceRecord, leader: ProcessStat): Promise<boolean> {
  return record.cgroup ? isCgroupFrozen(record.cgroup) : leader.state === 'T'
}

/** Polls `condition`; false at the deadline. */
export async function until(ms: number, condition: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms
  for (;;) {
    if (await condition()) return true
    if (performance.now() >= end) return false
    await sleep(pollMs)
  }
}
