import { ranOutOfMemory, readCgroupStats } from '../cgroup'
import type { InstanceStats, ObservedInstance } from '../driver'
import { heapExhausted } from '../log-text'
import type { InstanceLog } from './log-files'
import { isAsleep, membersOf } from './members'
import { pageBytes, statOf, ticksPerSecond } from './proc'
import type { InstanceRecord } from './record'

const host = '127.0.0.1'

/** An instance that this process started. */
export interface OwnChild {
  /** True until its exit code is known, shortly after the process ended. */
  isRunning: boolean
  isAsleep: boolean
  exit: InstanceRecord['exit']
}

/** The current state of an instance. `child`: null for an adopted instance. */
export async function observeRecord(record: InstanceRecord, log: InstanceLog, child: OwnChild | null): Promise<ObservedInstance> {
  const base = { owner: record.owner, startedAt: new Date(record.startedAt) }
  const state = await livingState(record, child)
  if (state) return { ...base, state, address: { host, port: record.port }, exit: null }
  return { ...base, state: 'exited', address: null, exit: await exitOf(record, log, child) }
}

/** null: the instance has ended. */
async function livingState(record: InstanceRecord, child: OwnChild | null): Promise<'running' | 'sleeping' | null> {
  if (record.exit) return null
  // Only this process freezes its children, and their end is reported as an event: polling a hundred of them would be expensive.
  if (child?.isRunning) return child.isAsleep ? 'sleeping' : 'running'
  const leader = await statOf(record.process)
  return leader && ((await isAsleep(record, leader)) ? 'sleeping' : 'running')
}

/** The exit code of an adopted process is unknown; running out of memory can still be detected. */
async function exitOf(record: InstanceRecord, log: InstanceLog, child: OwnChild | null): Promise<ObservedInstance['exit']> {
  const exit = record.exit ?? child?.exit ?? { code: null, signal: null, outOfMemory: false }
  const killed = record.cgroup !== null && exit.code !== 0 && (await ranOutOfMemory(record.cgroup))
  // Without a control group, a refused allocation ends the process like any other exception.
  const abrupt = exit.signal === 'SIGABRT' || exit.code === 134 || exit.code === null || (record.cgroup === null && exit.code !== 0)
  return { ...exit, outOfMemory: exit.outOfMemory || killed || (abrupt && (await mentions(log, heapExhausted))) }
}

/** Whether the end of the log contains the pattern: V8 logs that its heap is full, then aborts. */
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
