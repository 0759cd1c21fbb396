import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises'
import path from 'node:path'
import ignore, { type Ignore } from 'ignore'
import { AppError } from '@/shared/errors'

export type SourceEntry =
  | { kind: 'file'; path: string; sizeBytes: number; executable: boolean }
  /** `target` is relative and points inside the folder. */
  | { kind: 'symlink'; path: string; target: string }

/** Always excluded, regardless of ignore files. */
const alwaysLeftOut = new Set(['.git', 'node_modules', '.next', '.switchyard'])
/** Excluded unless an ignore file contains `!name`: local secrets and temporary files. */
const leftOutByDefault = ['.env.local', '.env.*.local', '.DS_Store']
const ignoreFiles = ['.gitignore', '.switchyardignore']

/** Ignore rules of a directory; paths are relative to it. */
interface Level {
  directory: string
  rules: Ignore
}

/**
 * Lists the files of a deployment of `directory`, sorted by path. Ignore files apply at every level; deeper files and later lines
 * win, as in Git; `.switchyardignore` comes after `.gitignore`.
 * @throws AppError ERR_SOURCE when the folder cannot be read, or a symlink leads out of it.
 */
export async function listFiles(directory: string): Promise<{ entries: SourceEntry[]; warnings: string[] }> {
  const root = await folder(directory)
  const entries: SourceEntry[] = []
  const warnings: string[] = []
  const walk = async (relative: string, levels: Level[]): Promise<void> => {
    const here = await rulesOf(root, relative)
    const all = here ? [...levels, here] : levels
    const names = await readdir(path.join(root, relative), { withFileTypes: true })
    for (const item of names) {
      const itemPath = relative ? `${relative}/${item.name}` : item.name
      if (alwaysLeftOut.has(item.name) || isIgnored(all, itemPath, item.isDirectory())) continue
      if (item.isDirectory()) await walk(itemPath, all)
      else if (item.isSymbolicLink()) entries.push({ kind: 'symlink', path: itemPath, target: await targetInside(root, itemPath) })
      else if (item.isFile()) entries.push(await fileEntry(root, itemPath))
      else warnings.push(`${itemPath} is not a file (a socket, pipe or device) and was left out.`)
    }
  }
  await walk('', [{ directory: '', rules: ignore().add(leftOutByDefault) }])
  // Sort by code unit, not by locale: the order affects the digest.
  entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  return { entries, warnings }
}

async function folder(directory: string): Promise<string> {
  const nextAction = 'Name the folder of your app: switchyard deploy path/to/app'
  try {
    const root = await realpath(directory)
    if ((await lstat(root)).isDirectory()) return root
  } catch (cause) {
    throw new AppError('ERR_SOURCE', `There is no folder ${directory}.`, { cause, nextAction })
  }
  throw new AppError('ERR_SOURCE', `${directory} is not a folder.`, { nextAction })
}

async function rulesOf(root: string, relative: string): Promise<Level | null> {
  const texts = await Promise.all(ignoreFiles.map((name) => readFile(path.join(root, relative, name), 'utf8').catch(() => null)))
  const found = texts.filter((text) => text !== null)
  return found.length > 0 ? { directory: relative, rules: ignore().add(found.join('\n')) } : null
}

/** The deepest ignore file with a matching rule decides; parent directories were tested earlier in the walk. */
function isIgnored(levels: Level[], itemPath: string, isDirectory: boolean): boolean {
  for (const { directory, rules } of levels.toReversed()) {
    const relative = directory ? itemPath.slice(directory.length + 1) : itemPath
    const result = rules.test(isDirectory ? `${relative}/` : relative)
    if (result.ignored) return true
    if (result.unignored) return false
  }
  return false
}

async function fileEntry(root: string, itemPath: string): Promise<SourceEntry> {
  try {
    const { size, mode } = await lstat(path.join(root, itemPath))
    return { kind: 'file', path: itemPath, sizeBytes: size, executable: (mode & 0o100) !== 0 }
  } catch (cause) {
    throw new AppError('ERR_SOURCE', `${itemPath} cannot be read.`, {
      cause,
      nextAction: 'If its name is not valid UTF-8, rename it; if it was just removed, deploy again.',
    })
  }
}

/** A symlink may point anywhere inside the folder. Checks both its text and its resolved target. */
async function targetInside(root: string, itemPath: string): Promise<string> {
  const target = await readlink(path.join(root, itemPath))
  const resolved = path.resolve(root, path.dirname(itemPath), target)
  const real = await realpath(path.join(root, itemPath)).catch(() => resolved)
  if (path.isAbsolute(target) || !isInside(root, resolved) || !isInside(root, real))
    throw new AppError('ERR_SOURCE', `The symlink ${itemPath} leads out of the folder (to ${target}).`, {
      nextAction: `Put the file itself there, or leave the link out: echo '${itemPath}' >> .switchyardignore`,
    })
  return target
}

const isInside = (root: string, file: string): boolean => file === root || file.startsWith(root.endsWith(path.sep) ? root : root + path.sep)
