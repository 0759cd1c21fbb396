import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { baseEnv, exec } from '@/shared/node/exec'

/** A cache that may be removed: builds only become slower. */
export interface CacheEntry {
  directory: string
  kind: 'build cache' | 'git mirror'
  projectId: string
  sizeBytes: number
  usedAt: Date
}

export interface Freed {
  what: string
  projectId: string | null
  sizeBytes: number
}

export interface EvictionPolicy {
  /** Maximum size of all caches together. */
  maxBytes: number
  maxAgeMs: number
  /** While it returns true, least recently used caches are removed regardless of the limits. */
  isPressed(): Promise<boolean>
}

const sizeDeadlineMs = 60_000

/** Disk usage of a directory, by `du`: walking a million files in JavaScript would block the control process. */
export async function sizeOf(directory: string): Promise<number> {
  const result = await exec(['du', '--summarize', '--block-size=1', '--', directory], { deadlineMs: sizeDeadlineMs, env: { ...baseEnv } }).catch(
    () => null,
  )
  return Number(/^(\d+)/.exec(result?.stdout ?? '')?.[1] ?? 0)
}

/** Caches of builds (`builds/projects/<project>/<lane>`) and of Git (`mirrors/<project>`), least recently used first. */
export async function listCaches(home: string, ofProject?: string): Promise<CacheEntry[]> {
  const projects = path.join(home, 'builds', 'projects')
  const mirrors = path.join(home, 'mirrors')
  const found: Omit<CacheEntry, 'sizeBytes' | 'usedAt'>[] = []
  const wanted = (projectId: string) => ofProject === undefined || projectId === ofProject
  for (const projectId of (await namesIn(projects)).filter(wanted))
    for (const lane of await namesIn(path.join(projects, projectId)))
      found.push({ directory: path.join(projects, projectId, lane), kind: 'build cache', projectId })
  for (const projectId of (await namesIn(mirrors)).filter(wanted))
    found.push({ directory: path.join(mirrors, projectId), kind: 'git mirror', projectId })
  const entries = await Promise.all(
    found.map(async (entry) => ({ ...entry, usedAt: await usedAt(entry.directory), sizeBytes: await sizeOf(entry.directory) })),
  )
  return entries.sort((a, b) => a.usedAt.getTime() - b.usedAt.getTime())
}

/** Caches to remove without disk pressure: unused for too long, or the least recently used ones beyond the size limit. */
export function surplus(entries: readonly CacheEntry[], policy: Pick<EvictionPolicy, 'maxBytes' | 'maxAgeMs'>, now: number): CacheEntry[] {
  let total = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0)
  return entries.filter((entry) => {
    if (total <= policy.maxBytes && now - entry.usedAt.getTime() <= policy.maxAgeMs) return false
    total -= entry.sizeBytes
    return true
  })
}

/** Locks a cache against use; returns the release function. null: the cache is in use. */
type Hold = (directory: string) => (() => void) | null

/** Removes all caches of a project. Returns the freed bytes. @throws AppError ERR_CONFLICT while a build uses one */
export async function clearProjectCaches(home: string, projectId: string, hold: Hold): Promise<number> {
  const entries = await listCaches(home, projectId)
  const held = entries.map((entry) => hold(entry.directory))
  try {
    if (held.includes(null))
      throw new AppError('ERR_CONFLICT', 'A build of this project uses the cache at the moment.', {
        nextAction: 'Wait until the deployment has ended, or cancel it; then clear the cache again.',
      })
    await Promise.all(entries.map((entry) => rm(entry.directory, { recursive: true, force: true })))
  } finally {
    for (const release of held) release?.()
  }
  return entries.reduce((sum, entry) => sum + entry.sizeBytes, 0)
}

/** Removes caches according to the policy. Caches in use stay. */
export async function evictCaches(home: string, policy: EvictionPolicy, hold: Hold): Promise<Freed[]> {
  const entries = await listCaches(home)
  const chosen = new Set(surplus(entries, policy, Date.now()))
  const freed: Freed[] = []
  for (const entry of entries) {
    if (!chosen.has(entry) && !(await policy.isPressed())) continue
    const release = hold(entry.directory)
    if (!release) continue
    try {
      await rm(entry.directory, { recursive: true, force: true })
      freed.push({ what: entry.kind, projectId: entry.projectId, sizeBytes: entry.sizeBytes })
    } finally {
      release()
    }
  }
  return freed
}

const namesIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory, { withFileTypes: true }).catch(() => [])).filter((entry) => entry.isDirectory()).map((entry) => entry.name)

/** Time of the last use: a build writes its state file each time, Git writes FETCH_HEAD. */
async function usedAt(directory: string): Promise<Date> {
  for (const name of ['state.json', 'FETCH_HEAD', '.']) {
    const found = await stat(path.join(directory, name)).catch(() => null)
    if (found) return found.mtime
  }
  return new Date(0)
}
