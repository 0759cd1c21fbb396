import { setTimeout as sleep } from 'node:timers/promises'
import { ranOutOfMemory, readCgroupStats } from '../cgroup'
import type { InstanceStats, ObservedInstance } from '../driver'
import { heapExhausted } from '../log-text'
import type { InstanceLog } from './log-files'
import { isAsleep, membersOf } from './members'
import { pageBytes, statOf, ticksPerSecond } from './proc'
import type { InstanceRecord } from './record'

const host = '127.0.0.1'
/** The exit of a child reaches us a moment after its process is gone. */
const exitLagMs = 200

/** What the kernel says of the instance now. `reread` is given for our own children, whose exit code is about to be written down. */
export async function observeRecord(
  record: InstanceRecord,
  log: InstanceLog,
  reread: (() => Promise<InstanceRecord | null>) | null,
): Promise<ObservedInstance> {
  const base = { owner: record.owner, startedAt: new Date(record.startedAt) }
  const leader = record.exit ? null : await statOf(record.process)
  if (leader)
    return {
      ...base,
      state: (await isAsleep(record, leader)) ? 'sleeping' : 'running',
      address: { host, port: record.port },
      exit: null,
    }
  return { ...base, state: 'exited', address: null, exit: await exitOf(record, log, reread) }
}

/** Of an adopted process nobody knows the code; whether memory ran out can still be told. */
async function exitOf(
  record: InstanceRecord,
  log: InstanceLog,
  reread: (() => Promise<InstanceRecord | null>) | null,
): Promise<ObservedInstance['exit']> {
  let exit = record.exit
  if (!exit && reread) {
    await sleep(exitLagMs)
    exit = (await reread())?.exit ?? null
  }
  exit ??= { code: null, signal: null, outOfMemory: false }
  const killed = record.cgroup !== null && exit.code !== 0 && (await ranOutOfMemory(record.cgroup))
  // without a control group, an allocation that is refused ends as an ordinary exception
  const abrupt = exit.signal === 'SIGABRT' || exit.code === 134 || exit.code === null || (record.cgroup === null && exit.code !== 0)
  return { ...exit, outOfMemory: exit.outOfMemory || killed || (abrupt && (await mentions(log, heapExhausted))) }
}

/** V8 says in the log that it has no memory left, and aborts. */
async function mentions(log: InstanceLog, pattern: RegExp): Promise<boolean> {
  const last: string[] = []
  for await (const line of log.reader().next(true)) {
    last.push(line.text)
    if (last.length > 100) last.shift()
  }
  return last.some((text) => pattern.test(text))
}

export async function readStats(record: InstanceRecord): Promise<InstanceStats> {
  if (record.cgroup) return readCgroupStats(record.cgroup, record.limits.memoryBytes)
  const members = await membersOf(record)
  return {
    cpuSeconds: members.reduce((sum, one) => sum + one.ticks, 0) / ticksPerSecond,
    memoryBytes: members.reduce((sum, one) => sum + one.residentPages, 0) * pageBytes,
    memoryLimitBytes: record.limits.memoryBytes,
    pids: members.length,
    at: new Date(),
  }
}
