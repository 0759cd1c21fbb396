import { chmod, constants, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'

/** `<home>/tools/node-<version>/bin`: where a Node of exactly this version lies once it is installed. Builds and apps share it. */
export const nodeBin = (home: string, version: string): string => path.join(home, 'tools', `node-${version}`, 'bin')

const mustCopy = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EEXIST'])

/**
 * Puts a Node binary where every user can reach it; its usual place may be below a home directory that others cannot enter. Linked
 * where possible, copied otherwise. It stays when the platform's own Node is replaced: what was built on it runs on it.
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
