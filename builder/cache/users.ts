import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { TreeOwner } from '@/builder/execute/sync'
import { writeFileAtomic } from '@/shared/node/atomic-file'

/** First user id for builds on the host, apart from accounts, subordinate ids of user namespaces, and projects of the runtime. */
const firstUid = 1_610_000
/** Installations on one machine (in tests) start at different ids, because the end of a build kills all processes of its user. */
const installations = 2_000
const uidsEach = 100

const firstUidOf = (directory: string): number =>
  firstUid + (createHash('sha256').update(directory).digest().readUInt32BE(0) % installations) * uidsEach

/** Assigns a user id to each workspace for its lifetime. null: not root. */
export function createBuildUsers(directory: string): (workspace: string) => Promise<TreeOwner | null> {
  const file = path.join(directory, 'users.json')
  const first = firstUidOf(directory)
  let queue: Promise<unknown> = Promise.resolve()
  const allocate = async (workspace: string): Promise<TreeOwner> => {
    const users = await readFile(file, 'utf8').then(
      (text) => JSON.parse(text) as Record<string, number>,
      () => ({}) as Record<string, number>,
    )
    let uid = users[workspace]
    if (uid === undefined) {
      uid = Math.max(first - 1, ...Object.values(users)) + 1
      await writeFileAtomic(file, JSON.stringify({ ...users, [workspace]: uid }))
    }
    return { uid, gid: uid }
  }
  return (workspace) => {
    if (process.getuid?.() !== 0) return Promise.resolve(null)
    const turn = queue.then(() => allocate(workspace))
    queue = turn.catch(() => {})
    return turn
  }
}
