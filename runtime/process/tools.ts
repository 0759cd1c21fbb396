import { chmod, constants, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { hasCode, isRoot } from './layout'

/**
 * `<home>/tools/node-<version>/bin/node`: the platform's own Node where every user can reach it; its usual place may be below a home
 * directory that others cannot enter. Linked where possible, copied otherwise.
 */
export async function installNode(home: string, nodeBinary: string, version: string): Promise<string> {
  const bin = path.join(home, 'tools', `node-${version}`, 'bin')
  const target = path.join(bin, 'node')
  if ((await stat(target).catch(() => null))?.isFile()) return bin
  await mkdir(bin, { recursive: true, mode: 0o755 })
  const temp = `${target}.${process.pid}.tmp`
  await rm(temp, { force: true })
  try {
    await link(nodeBinary, temp)
    if (((await stat(temp)).mode & 0o005) !== 0o005) throw Object.assign(new Error('not for everybody'), { code: 'EXDEV' })
  } catch (error) {
    if (!hasCode(error, 'EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EEXIST')) throw error
    await rm(temp, { force: true })
    await copyFile(nodeBinary, temp, constants.COPYFILE_FICLONE)
    await chmod(temp, 0o755)
  }
  await rename(temp, target)
  return bin
}

/** Lets other users pass through (not list) the directories that lead to the apps; refuses when one above `home` shuts them out. */
export async function openPath(home: string): Promise<void> {
  for (const directory of [home, path.join(home, 'tools'), path.join(home, 'projects'), path.join(home, 'instances'), path.join(home, 'run')]) {
    await mkdir(directory, { recursive: true, mode: 0o711 })
    const { mode } = await stat(directory)
    if (isRoot() && path.basename(directory) !== 'run' && (mode & 0o011) !== 0o011) await chmod(directory, (mode & 0o7777) | 0o011)
  }
  if (!isRoot()) return
  for (let above = path.dirname(home); above !== path.dirname(above); above = path.dirname(above))
    if (((await stat(above)).mode & 0o001) === 0)
      throw new AppError('ERR_UNAVAILABLE', `Apps run as users of their own, and ${above} does not let them through to ${home}`, {
        nextAction: `Move SWITCHYARD_HOME to a directory such as /var/lib/switchyard, or run: chmod o+x ${above}`,
      })
}
