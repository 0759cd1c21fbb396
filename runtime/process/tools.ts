import { chmod, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '@/shared/errors'
import { isRoot } from './layout'

/** Lets other users traverse (not list) the directories that lead to the apps. Refuses if a directory above `home` denies access. */
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
