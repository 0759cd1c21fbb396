import { createHash } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { projectUsers } from '@/shared/node/user-firewall'
import { hasCode, isRoot, type Layout } from './layout'

const { first: firstUid, last: lastUid } = projectUsers

/**
 * Returns the user id of a project; users need no entry in /etc/passwd. The file `run/users/<uid>` holds the project's id and reserves the user
 * id; it is created by `link`, so that concurrent reservations cannot both succeed.
 */
export async function uidOfProject(paths: Layout, projectId: string): Promise<number> {
  const own = process.getuid?.() ?? 0
  if (!isRoot()) return own
  await mkdir(paths.users, { recursive: true, mode: 0o700 })
  const known = await findClaim(paths, projectId)
  if (known !== null) return known
  const taken = await accountsOfMachine()
  const draft = path.join(paths.users, `.${projectId}.${process.pid}.${Math.random().toString(36).slice(2)}`)
  await writeFile(draft, projectId, { mode: 0o600 })
  try {
    const size = lastUid - firstUid + 1
    // Start at a different number per installation, to avoid collisions on one machine.
    const begin = createHash('sha256').update(`${paths.users}/${projectId}`).digest().readUInt32BE(0) % size
    for (let step = 0; step < size; step++) {
      const uid = firstUid + ((begin + step) % size)
      if (taken.has(uid)) continue
      try {
        await link(draft, path.join(paths.users, String(uid)))
        return await keepLowestUid(paths, projectId, uid)
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error
      }
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw new AppError('ERR_UNAVAILABLE', 'Every user number for projects is taken', { nextAction: 'Remove projects that nobody needs.' })
}

/** Two concurrent starts of a new project may have reserved two user ids: keep the lowest. */
async function keepLowestUid(paths: Layout, projectId: string, mine: number): Promise<number> {
  const chosen = (await findClaim(paths, projectId)) ?? mine
  if (chosen !== mine) await rm(path.join(paths.users, String(mine)), { force: true })
  return chosen
}

async function findClaim(paths: Layout, projectId: string): Promise<number | null> {
  const names = (await readdir(paths.users).catch(() => [])).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b))
  for (const name of names) {
    const holder = await readFile(path.join(paths.users, name), 'utf8').catch(() => null)
    if (holder === projectId) return Number(name)
  }
  return null
}

/** User ids of this installation's projects. Empty without root, because projects then share a user. */
export async function claimedUids(paths: Layout): Promise<number[]> {
  if (!isRoot()) return []
  return (await readdir(paths.users).catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number)
}

async function accountsOfMachine(): Promise<Set<number>> {
  const text = await readFile('/etc/passwd', 'utf8').catch(() => '')
  return new Set(text.split('\n').map((line) => Number(line.split(':')[2])))
}

/** null: the project never had a user id. */
export function existingUid(paths: Layout, projectId: string): Promise<number | null> {
  return isRoot() ? findClaim(paths, projectId) : Promise.resolve(null)
}

export async function releaseUid(paths: Layout, uid: number): Promise<void> {
  await rm(path.join(paths.users, String(uid)), { force: true })
}
