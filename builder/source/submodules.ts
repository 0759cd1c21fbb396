import { openTree } from '@/builder/tree-files'
import type { Elsewhere } from '@/shared/build-plan'
import { isAppError } from '@/shared/errors'
import { type PinnedAddress, parseAddress, type RepositoryAddress } from './address'
import type { Git } from './git-command'
import { showName, sourceError } from './problem'

/** A submodule entry in a tree: a commit of another repository. */
export interface Gitlink {
  path: string
  sha: string
}

export const submoduleAdvice = 'or set submodules of the project to "ignore" (Settings → Source, "submodules" in the API) to deploy without them.'

/** Submodule addresses by path, from the commit's `.gitmodules`. Parsed by git, without include files. */
export async function readGitmodules(git: Git, sha: string): Promise<Map<string, string>> {
  const result = await git.run(['config', `--blob=${sha}:.gitmodules`, '--no-includes', '--null', '--get-regexp', '^submodule\\..*\\.(path|url)$'])
  const byName = new Map<string, { path?: string; url?: string }>()
  if (result.code !== 0) return new Map()
  for (const entry of result.stdout.split('\0').filter(Boolean)) {
    const [key = '', ...value] = entry.split('\n')
    const name = key.slice('submodule.'.length, key.lastIndexOf('.'))
    const field = key.endsWith('.path') ? 'path' : 'url'
    byName.set(name, { ...byName.get(name), [field]: value.join('\n') })
  }
  return new Map([...byName.values()].flatMap(({ path, url }) => (path && url ? [[path, url] as const] : [])))
}

/** Resolves a relative address such as `../lib.git` like git: relative to the address of the parent repository. */
function resolveRelative(parent: RepositoryAddress, relative: string): string {
  const { protocol, username, host, pathname } = new URL(parent.url)
  const parts = pathname.split('/').filter(Boolean)
  for (const step of relative.split('/').filter(Boolean)) {
    if (step === '.') continue
    if (step !== '..') parts.push(step)
    else if (parts.pop() === undefined) throw sourceError('its address leads above the host', '')
  }
  return `${protocol}//${username ? `${username}@` : ''}${host}/${parts.join('/')}`
}

const isRelative = (url: string): boolean => url.startsWith('./') || url.startsWith('../')
const isSamePlace = (a: RepositoryAddress, b: RepositoryAddress): boolean => a.scheme === b.scheme && a.host === b.host && a.port === b.port

/**
 * The address of a submodule, checked like a repository address. The root's credentials are sent only to the root's host; ssh addresses there
 * use https, because the platform has only those credentials.
 * @throws AppError ERR_SOURCE
 */
export function submoduleAddress(root: PinnedAddress, parent: RepositoryAddress, url: string): RepositoryAddress {
  const asked = parseAddress(isRelative(url) ? resolveRelative(parent, url) : url)
  if (asked.scheme === 'ssh' && root.scheme === 'https' && asked.host === root.host) {
    const { pathname } = new URL(asked.url)
    return { ...parseAddress(`${new URL(root.url).origin}${pathname}`), credentials: root.credentials }
  }
  return isSamePlace(asked, root) ? { ...asked, credentials: asked.credentials ?? root.credentials } : asked
}

/** Address of a submodule. @throws AppError ERR_SOURCE when `.gitmodules` lacks the folder */
export function addressIn(known: ReadonlyMap<string, string>, link: Gitlink): string {
  const url = known.get(link.path)
  if (url === undefined) throw sourceError('.gitmodules does not say where it comes from', '')
  return url
}

/** Adds the folder to an error, except for cancellation and missing git. */
export function submoduleError(folder: string, error: unknown): unknown {
  if (!isAppError(error) || error.code !== 'ERR_SOURCE' || error.message.startsWith('The submodule')) return error
  return sourceError(
    `The submodule “${showName(folder)}” could not be fetched: ${error.message}`,
    `Make it reachable with the credentials of the repository, ${submoduleAdvice}`,
    error.cause,
  )
}

/** An upload has no repository to fetch from: empty folders of submodules fail the deployment, or stay empty. @throws AppError ERR_SOURCE */
export async function judgeUploadedSubmodules(directory: string, setting: Elsewhere, onLog: (text: string) => void): Promise<void> {
  const tree = await openTree(directory)
  const text = (await tree.read('.gitmodules')) ?? ''
  const paths = [...text.matchAll(/^\s*path\s*=\s*"?([^"\n]*?)"?\s*$/gm)].map(([, name = '']) => name)
  const empty: string[] = []
  for (const name of paths) if (!(await tree.isFile(name)) && (await tree.list(name)).length === 0) empty.push(name)
  if (empty.length === 0) return
  if (setting === 'ignore') {
    warnAboutSubmodules(empty, onLog)
    return
  }
  throw sourceError(
    `The upload lacks the files of ${describeFolders(empty)}`,
    `Run git submodule update --init --recursive in the folder and deploy it again, ${submoduleAdvice}`,
  )
}

const describeFolders = (folders: readonly string[]): string => {
  const names = folders.slice(0, 3).map(showName).join(', ')
  const more = folders.length > 3 ? ` and ${folders.length - 3} more` : ''
  return `${folders.length === 1 ? 'the submodule' : `${folders.length} submodules:`} ${names}${more}`
}

export const warnAboutSubmodules = (folders: readonly string[], onLog: (text: string) => void): void =>
  onLog(`Warning: submodules are not fetched, as the project's settings ask; folders that stay empty: ${describeFolders(folders)}`)
