import { chmod, mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { writeFileAtomic } from '@/shared/node/atomic-file'

/** Creates the directories below $SWITCHYARD_HOME. Mode 0711: apps run as other users and must traverse the home, but not list it. */
export async function prepareHome(home: string): Promise<void> {
  try {
    await mkdir(home, { recursive: true, mode: 0o711 })
    await chmod(home, 0o711)
    for (const name of ['run', 'secrets']) {
      await mkdir(path.join(home, name), { recursive: true, mode: 0o700 })
      await chmod(path.join(home, name), 0o700)
    }
  } catch (cause) {
    throw new AppError('ERR_UNAVAILABLE', `${home} cannot be used: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
      nextAction: 'Set SWITCHYARD_HOME to a directory this user can write to.',
    })
  }
}

/** Writes the installation id (the one in GET /api/health) to `$home/installation`, only when it differs: a full disk must not fail a later start. */
export async function writeInstallationId(home: string, id: string): Promise<void> {
  const file = path.join(home, 'installation')
  const noted = await readFile(file, 'utf8').catch(() => '')
  if (noted.trim() !== id) await writeFileAtomic(file, `${id}\n`)
}

export interface ProcessIdentity {
  pid: number
  /** Clock ticks since boot (proc(5), field 22): distinguishes a process from a later process with the same pid. */
  startTime: string
}

/** null: no such process. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The command name in parentheses may itself contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z') return null
    return { pid, startTime: fields[19] ?? '' }
  } catch {
    return null
  }
}

/** The process in a pid file. null: the file is missing or invalid, or that process no longer runs. */
export async function readPidFile(file: string): Promise<ProcessIdentity | null> {
  try {
    const recorded = JSON.parse(await readFile(file, 'utf8')) as ProcessIdentity
    const actual = await identify(recorded.pid)
    return actual && actual.startTime === recorded.startTime ? actual : null
  } catch {
    return null
  }
}

export async function writePidFile(file: string, pid: number): Promise<void> {
  const identity = await identify(pid)
  if (identity) await writeFileAtomic(file, JSON.stringify(identity))
}
