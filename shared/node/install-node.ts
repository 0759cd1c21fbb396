import { chmod, constants, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'

/** Directory of the Node binary of exactly this version, below `home`, shared by builds and apps. */
export const nodeBin = (home: string, version: string): string => path.join(home, 'tools', `node-${version}`, 'bin')

const mustCopy = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EEXIST'])

/**
 * Installs a Node binary where every user can execute it: the original may lie in a home directory that other users cannot enter. Hard link if
 * possible, else a copy. It remains when the platform's own Node is replaced, because existing artifacts run on it.
 */
export async function installNode(home: string, nodeBinary: string, version: string): Promise<string> {
  const bin = nodeBin(home, version)
  const target = path.join(bin, 'node')
  if ((await stat(target).catch(() => null))?.isFile()) return bin
  await mkdir(bin, { recursive: true, mode: 0o755 })
  const temp = `${target}.${process.pid}.tmp`
  await rm(temp, { force: true })
  try {
    await link(nodeBinary, temp)
    if (((await stat(temp)).mode & 0o005) !== 0o005) throw Object.assign(new Error('not for everybody'), { code: 'EXDEV' })
  } catch (error) {
    if (!mustCopy.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    await rm(temp, { force: true })
    await copyFile(nodeBinary, temp, constants.COPYFILE_FICLONE)
    await chmod(temp, 0o755)
  }
  await rename(temp, target)
  return bin
}
