import { mkdir, readdir, readFile } from 'node:fs/promises'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import type { ResourceLimits } from '@/shared/release'
import type { Cgroup } from '../cgroup'
import type { InstanceOwner, ObservedInstance } from '../driver'
import { hasCode, type Layout } from './layout'
import type { ProcessIdentity } from './proc'

/** What is known of an instance, on disk before the app runs its first instruction: whoever comes next adopts it from here. */
export interface InstanceRecord {
  version: 1
  owner: InstanceOwner
  /** Leader of its own session and process group. */
  process: ProcessIdentity
  uid: number
  gid: number
  port: number
  releaseDirectory: string
  limits: ResourceLimits
  cgroup: Cgroup | null
  startedAt: string
  exit: ObservedInstance['exit']
  /** Set by `stop`: only its logs are left. */
  stoppedAt: string | null
}

/** null: there is none, or a crash came before the first one was written. */
export async function readRecord(paths: Layout, instanceId: string): Promise<InstanceRecord | null> {
  try {
    const record = JSON.parse(await readFile(paths.record(instanceId), 'utf8')) as InstanceRecord
    return record.version === 1 ? record : null
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return null
    throw error
  }
}

export async function writeRecord(paths: Layout, record: InstanceRecord): Promise<void> {
  await mkdir(paths.instance(record.owner.instanceId), { recursive: true, mode: 0o711 })
  await writeFileAtomic(paths.record(record.owner.instanceId), `${JSON.stringify(record, null, 2)}\n`)
}

export async function listRecords(paths: Layout): Promise<InstanceRecord[]> {
  const names = await readdir(paths.instances).catch((error) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  const records = await Promise.all(names.filter((name) => !name.startsWith('.')).map((name) => readRecord(paths, name).catch(() => null)))
  return records.filter((record) => record !== null)
}
