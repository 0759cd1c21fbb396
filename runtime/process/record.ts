import { statSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import type { ResourceLimits } from '@/shared/release'
import type { Cgroup } from '../cgroup'
import type { InstanceOwner, ObservedInstance } from '../driver'
import { hasCode, type Layout } from './layout'
import type { ProcessIdentity } from './proc'

/** The record of an instance, written to disk before the app starts, from which the next control process adopts it. */
export interface InstanceRecord {
  version: 1
  owner: InstanceOwner
  /** Leader of the session and process group of the app. */
  process: ProcessIdentity
  uid: number
  gid: number
  port: number
  releaseDirectory: string
  limits: ResourceLimits
  cgroup: Cgroup | null
  startedAt: string
  exit: ObservedInstance['exit']
  /** Set by `stop`; null: not stopped. Only the logs of a stopped instance remain. */
  stoppedAt: string | null
}

/** null: no such record, or a crash prevented the first write. */
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

/** Records by instance id, as last read. */
export type KnownRecords = Map<string, { stamp: string; record: InstanceRecord | null }>

/** Reads all records; unchanged files are taken from `known`. */
export async function listRecords(paths: Layout, known: KnownRecords = new Map()): Promise<InstanceRecord[]> {
  const names = (
    await readdir(paths.instances).catch((error) => {
      if (hasCode(error, 'ENOENT')) return []
      throw error
    })
  ).filter((name) => !name.startsWith('.'))
  const present = new Set(names)
  for (const name of known.keys()) if (!present.has(name)) known.delete(name)
  const records = await Promise.all(names.map((name) => readAgain(paths, name, known).catch(() => null)))
  return records.filter((record) => record !== null)
}

async function readAgain(paths: Layout, instanceId: string, known: KnownRecords): Promise<InstanceRecord | null> {
  const before = known.get(instanceId)
  // The record of a stopped instance never changes, and there may be thousands.
  if (before?.record?.stoppedAt) return before.record
  const found = statSync(paths.record(instanceId), { throwIfNoEntry: false })
  // Records are replaced atomically, so a changed record has another inode.
  const stamp = found ? `${found.ino} ${found.mtimeMs} ${found.size}` : ''
  if (before?.stamp === stamp) return before.record
  const record = await readRecord(paths, instanceId)
  known.set(instanceId, { stamp, record })
  return record
}
