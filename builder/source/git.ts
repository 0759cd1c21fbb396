import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { SourceSpec, SourceTree } from '@/builder/builder'
import type { BuildSettings } from '@/shared/build-plan'
import { isAppError } from '@/shared/errors'
import type { ExecResult } from '@/shared/node/exec'
import { type PinnedAddress, parseAddress, pinAddress, type RepositoryAddress } from './address'
import { settleTree } from './checkout'
import type { FetchOptions } from './fetch-options'
import { type Git, openGit } from './git-command'
import { explainGit, isMissingObject, isRedirect, needsDeepFetch } from './git-problem'
import { describePointers, findPointers, summaryOf, warnAboutPointers } from './lfs'
import { fetchLargeFiles } from './lfs-fetch'
import type { SourceLimits } from './limits'
import { takeTurns } from './mirror-turns'
import { canceled, showName, sourceError, tooLarge, tooManyFiles, tooSlow } from './problem'
import { nameRef, parseRef, type Ref } from './ref'
import { addressIn, type Gitlink, readGitmodules, submoduleAddress, submoduleAdvice, submoduleError, warnAboutSubmodules } from './submodules'

type GitSpec = Extract<SourceSpec, { kind: 'git' }>

/** A ref to request from the server, and its branch. */
interface Wanted {
  remote: string
  branch: string | null
}

/** Bytes that all fetches of a source may transfer together. */
interface FetchBudget {
  leftBytes: number
  limitBytes: number
}

const noLog = () => {}

/** Size of a git directory; it has few files, so this is cheap even during a fetch. */
async function directorySize(directory: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(directory, { withFileTypes: true }).catch(() => [])).map(async (entry) => {
      const file = path.join(directory, entry.name)
      if (entry.isDirectory()) return directorySize(file)
      return (await stat(file).catch(() => null))?.size ?? 0
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Runs a fetch and stops it as soon as the repository has grown by more than the limit. */
async function fetchWithin(git: Git, gitDirectory: string, args: string[], budget: FetchBudget): Promise<ExecResult> {
  const before = await directorySize(gitDirectory)
  const guard = new AbortController()
  let isChecking = false
  const timer = setInterval(async () => {
    if (isChecking) return
    isChecking = true
    if ((await directorySize(gitDirectory)) - before > budget.leftBytes) guard.abort()
    isChecking = false
  }, 200)
  try {
    return await git.run(['fetch', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head', '--no-progress', '--force', ...args], {
      signal: guard.signal,
    })
  } catch (error) {
    if (guard.signal.aborted && isAppError(error) && error.code === 'ERR_CANCELED') throw tooLarge(budget.limitBytes)
    throw error
  } finally {
    clearInterval(timer)
    budget.leftBytes -= (await directorySize(gitDirectory)) - before
  }
}

async function listRemote(git: Git, address: PinnedAddress, patterns: string[]): Promise<string[]> {
  const result = await git.run(['ls-remote', '--symref', '--', address.url, ...patterns])
  if (result.code !== 0) throw explainGit(result.stderr, address)
  return result.stdout.split('\n').filter(Boolean)
}

/** A few existing branches, the most similar first. */
async function suggestBranches(git: Git, address: PinnedAddress, asked: string): Promise<string> {
  const lines = await listRemote(git, address, ['refs/heads/*'])
  const names = lines.map((line) => line.split('\trefs/heads/')[1] ?? '').filter(Boolean)
  if (names.length === 0) return 'The repository has no branches yet: push a commit first.'
  const rank = (name: string) => (name.toLowerCase().includes(asked.toLowerCase()) ? 0 : ['main', 'master'].includes(name) ? 1 : 2)
  const shown = names
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, 5)
    .map(showName)
  return `Use one that exists: ${shown.join(', ')}${names.length > shown.length ? `, and ${names.length - shown.length} more` : ''}.`
}

async function resolveRef(git: Git, address: PinnedAddress, ref: Ref): Promise<Wanted> {
  if (ref.kind === 'commit') return { remote: ref.sha, branch: null }
  if (ref.kind === 'default') {
    const lines = await listRemote(git, address, ['HEAD'])
    const head = lines.find((line) => line.endsWith('\tHEAD') && !line.startsWith('ref:'))
    if (!head) throw sourceError('The repository is empty, or its default branch does not exist', 'Push a commit, or name the branch to deploy.')
    const symref = /^ref: refs\/heads\/(\S+)\tHEAD$/.exec(lines.find((line) => line.startsWith('ref:')) ?? '')
    return { remote: 'HEAD', branch: symref?.[1] ?? null }
  }
  const names = new Set((await listRemote(git, address, ref.candidates)).map((line) => line.split('\t')[1]))
  const remote = ref.candidates.find((candidate) => names.has(candidate))
  if (!remote) throw sourceError(`The repository has no branch or tag “${showName(ref.shown)}”`, await suggestBranches(git, address, ref.shown))
  return { remote, branch: remote.startsWith('refs/heads/') ? remote.slice('refs/heads/'.length) : null }
}

/** Fetches the wanted commit, shallow if the server supports it, and returns its id. */
async function fetchCommit(git: Git, gitDirectory: string, address: PinnedAddress, wanted: Wanted, budget: FetchBudget): Promise<string> {
  // A unique ref for each fetch, because two builds may share a mirror.
  const local = `refs/switchyard/${randomBytes(6).toString('hex')}`
  const isCommit = /^[0-9a-f]{40,64}$/.test(wanted.remote)
  if (isCommit && (await git.run(['cat-file', '-e', `${wanted.remote}^{commit}`])).code === 0) return wanted.remote
  const shallow = await fetchWithin(git, gitDirectory, ['--depth=1', '--', address.url, `+${wanted.remote}:${local}/target`], budget)
  let target = `${local}/target`
  if (shallow.code !== 0) {
    if (isCommit && isMissingObject(shallow.stderr)) throw missingCommit(wanted.remote)
    if (!needsDeepFetch(shallow.stderr)) throw explainGit(shallow.stderr, address)
    const refspecs = isCommit ? [`+refs/heads/*:${local}/heads/*`, `+refs/tags/*:${local}/tags/*`] : [`+${wanted.remote}:${local}/target`]
    const deep = await fetchWithin(git, gitDirectory, ['--', address.url, ...refspecs], budget)
    if (deep.code !== 0) throw explainGit(deep.stderr, address)
    if (isCommit) target = wanted.remote
  }
  const parsed = await git.run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${target}^{commit}`])
  if (parsed.code !== 0)
    throw isCommit ? missingCommit(wanted.remote) : sourceError('The tag does not point at a commit', 'Deploy a branch, or a tag of a commit.')
  return parsed.stdout.trim()
}

/** Fetches a ref. A branch or tag may look like a commit id: it is used if no such commit exists. */
async function fetchWanted(
  git: Git,
  gitDirectory: string,
  address: PinnedAddress,
  ref: Ref,
  budget: FetchBudget,
): Promise<{ sha: string; branch: string | null }> {
  const wanted = await resolveRef(git, address, ref)
  const get = async (from: Wanted) => ({ sha: await fetchCommit(git, gitDirectory, address, from, budget), branch: from.branch })
  if (ref.kind !== 'commit') return get(wanted)
  try {
    return await get(wanted)
  } catch (error) {
    if (!isAppError(error) || error.code !== 'ERR_SOURCE') throw error
    const named = await resolveRef(git, address, nameRef(ref.sha)).catch(() => null)
    if (!named) throw error
    return get(named)
  }
}

const missingCommit = (sha: string) =>
  sourceError(`The commit ${sha.slice(0, 12)} is not in the repository`, 'It may have been removed by a force push: deploy the branch again.')

/** Use `log` instead of `show`: `show` compares trees, which never ends for a "git bomb". */
async function describeCommit(git: Git, sha: string): Promise<{ treeId: string; message: string; author: string }> {
  const result = await git.run([
    'log',
    '--max-count=1',
    '--no-show-signature',
    '--no-notes',
    '--no-color',
    '--encoding=UTF-8',
    '--format=%T%x00%s%x00%an',
    '--end-of-options',
    sha,
  ])
  if (result.code !== 0)
    throw sourceError(
      'The commit could not be read',
      'Try again; when it happens again, check the repository with git fsck.',
      new Error(result.stderr.slice(0, 2000)),
    )
  const [treeId = '', message = '', author = ''] = result.stdout.trimEnd().split('\0')
  return { treeId, message: showName(message), author: showName(author) }
}

/** Resources used so far by all repositories of a source. */
interface Used {
  sizeBytes: number
  count: number
}

/** Measures a tree before it is written, so that neither a huge tree nor a "git bomb" of nested trees reaches the disk. Returns its submodules. */
async function measureTree(git: Git, sha: string, limits: SourceLimits, used: Used): Promise<Gitlink[]> {
  const guard = new AbortController()
  const links: Gitlink[] = []
  const format = '%(objectmode) %(objectname) %(objectsize) %(path)'
  const result = await git
    .run(['-c', 'core.quotePath=false', 'ls-tree', '-r', `--format=${format}`, '--end-of-options', sha], {
      signal: guard.signal,
      maxOutputBytes: 64 * 1024,
      onLine(stream, line) {
        const entry = stream === 'stdout' ? /^(\d+) ([0-9a-f]+) +(-|\d+) (.*)$/.exec(line) : null
        if (!entry) return
        const [, mode, object = '', size, name = ''] = entry
        used.count += 1
        if (mode === '160000') links.push({ path: name, sha: object })
        else used.sizeBytes += Number(size) || 0
        if (used.sizeBytes > limits.maxBytes || used.count > limits.maxFiles) guard.abort()
      },
    })
    .catch((error: unknown) => {
      if (guard.signal.aborted && isAppError(error) && error.code === 'ERR_CANCELED') return null
      throw error
    })
  if (used.sizeBytes > limits.maxBytes) throw tooLarge(limits.maxBytes)
  if (used.count > limits.maxFiles) throw tooManyFiles(limits.maxFiles)
  if (result?.code !== 0)
    throw sourceError('The tree of the commit could not be read', 'Try again; when it happens again, check the repository with git fsck.')
  return links
}

async function checkOut(git: Git, sha: string, directory: string, indexFile: string, limits: SourceLimits): Promise<void> {
  const env = { GIT_INDEX_FILE: indexFile }
  const read = await git.run(['read-tree', '--', sha], { env })
  const written = read.code === 0 ? await git.run([`--work-tree=${directory}`, 'checkout-index', '--all', '--force', '--quiet'], { env }) : read
  if (written.code === 0) return
  if (/No space left on device|Disk quota/.test(written.stderr))
    throw sourceError('The disk of this machine is full', 'Free space on the machine, then deploy again.')
  throw sourceError(
    `The files of the commit could not be written: ${showName(written.stderr.trim().split('\n').at(-1) ?? '')}`,
    `Rename files whose names Git refuses; the tree may hold at most ${limits.maxFiles} of them.`,
    new Error(written.stderr.slice(0, 2000)),
  )
}

async function prepareRepository(git: Git, gitDirectory: string, limits: SourceLimits): Promise<void> {
  // A mirror only grows; beyond this size, a new mirror is cheaper than garbage collection.
  if ((await directorySize(gitDirectory)) > 2 * limits.maxFetchBytes) await rm(gitDirectory, { recursive: true, force: true })
  await mkdir(gitDirectory, { recursive: true, mode: 0o700 })
  const result = await git.run(['init', '--quiet', '--bare', '--template='])
  if (result.code !== 0)
    throw sourceError(
      'The working copy could not be prepared',
      'Check the disk of this machine, then try again.',
      new Error(result.stderr.slice(0, 2000)),
    )
}

/** A repository of a source whose files are in place. */
interface Part {
  address: PinnedAddress
  /** Directory in the tree; empty: the root. */
  prefix: string
  /** `lfs.url` in its `.lfsconfig`. */
  lfsUrl: string | null
}

/** State of fetching a source: remaining budget, and results so far. */
interface Fetch {
  spec: GitSpec
  options: FetchOptions
  scratch: string
  root: PinnedAddress
  /** Persistent or temporary git directory. */
  gitDirectory: string
  settings: Pick<BuildSettings, 'submodules' | 'lfs'>
  onLog: (text: string) => void
  deadlineAt: number
  budget: FetchBudget
  used: Used
  parts: Part[]
  submodules: number
  /** Kinds of files that the settings exclude. */
  leftOut: string[]
}

async function openRepository(fetch: Fetch, address: PinnedAddress, gitDirectory: string): Promise<Git> {
  const { options, scratch } = fetch
  const git = await openGit({
    address,
    gitDirectory,
    home: path.join(scratch, 'home'),
    knownHostsFile: options.knownHostsFile ?? path.join(scratch, 'known_hosts'),
    sshKeyFile: options.sshKeyFile,
    timeoutMs: timeLeft(fetch),
    signal: options.signal,
  })
  await prepareRepository(git, gitDirectory, options.limits)
  return git
}

function timeLeft({ deadlineAt, options }: Pick<Fetch, 'deadlineAt' | 'options'>): number {
  const left = deadlineAt - performance.now()
  if (left <= 0) throw tooSlow(options.limits.timeoutMs)
  return Math.ceil(left)
}

/** Writes the files of a commit and of its submodules. */
async function place(fetch: Fetch, git: Git, sha: string, at: { address: PinnedAddress; prefix: string; depth: number }): Promise<void> {
  const { options, parts } = fetch
  const links = await measureTree(git, sha, options.limits, fetch.used)
  const index = path.join(fetch.scratch, `index-${parts.length}`)
  await checkOut(git, sha, path.join(options.directory, at.prefix), index, options.limits)
  const lfs = await git.run(['config', `--blob=${sha}:.lfsconfig`, '--no-includes', '--get', 'lfs.url'])
  parts.push({ address: at.address, prefix: at.prefix, lfsUrl: lfs.code === 0 ? lfs.stdout.trim() : null })
  if (links.length > 0) await placeSubmodules(fetch, git, sha, links, at)
}

async function placeSubmodules(
  fetch: Fetch,
  git: Git,
  sha: string,
  links: Gitlink[],
  at: { address: PinnedAddress; prefix: string; depth: number },
): Promise<void> {
  const { limits } = fetch.options
  if (fetch.settings.submodules === 'ignore') {
    fetch.leftOut.push('submodules')
    warnAboutSubmodules(
      links.map((link) => link.path),
      fetch.onLog,
    )
    return
  }
  fetch.submodules += links.length
  if (fetch.submodules > limits.maxSubmodules || at.depth >= limits.maxSubmoduleDepth)
    throw sourceError(
      `The repository has more than ${limits.maxSubmodules} submodules, or they nest more than ${limits.maxSubmoduleDepth} deep`,
      `Take submodules out of the repository, ${submoduleAdvice}`,
    )
  const known = await readGitmodules(git, sha)
  for (const link of links) {
    const name = path.join(at.prefix, link.path)
    try {
      await placeSubmodule(fetch, link, submoduleAddress(fetch.root, at.address, addressIn(known, link)), { prefix: name, depth: at.depth + 1 })
    } catch (error) {
      throw submoduleError(name, error)
    }
  }
}

async function placeSubmodule(fetch: Fetch, link: Gitlink, wanted: RepositoryAddress, at: { prefix: string; depth: number }): Promise<void> {
  const { spec, options } = fetch
  const address = await pinAddress(wanted, { allowPrivateNetwork: spec.allowPrivateNetwork, signal: options.signal })
  // A link in the middle of the path could lead outside of the tree.
  const target = path.join(options.directory, at.prefix)
  const straight = path.join(await realpath(options.directory), at.prefix)
  if ((await realpath(target).catch(() => null)) !== straight)
    throw sourceError('its folder is reached through a link', 'Give it a folder of its own.')
  const id = createHash('sha256').update(address.url).digest('hex').slice(0, 16)
  const gitDirectory = path.join(fetch.gitDirectory, 'modules', id)
  const git = await openRepository(fetch, address, gitDirectory)
  fetch.onLog(`Fetching the submodule ${showName(at.prefix)} from ${address.url}`)
  const get = (from: PinnedAddress) => fetchCommit(git, gitDirectory, from, { remote: link.sha, branch: null }, fetch.budget)
  const sha = await followingRedirect(address, get)
  await place(fetch, git, sha, { address, ...at })
}

/** Fetches the Git LFS files of every repository in the tree, or adds a warning. Returns by how many bytes the tree has grown. */
async function placeLargeFiles(fetch: Fetch, maybePointers: readonly string[]): Promise<number> {
  const { options, parts, spec, gitDirectory } = fetch
  const pointers = await findPointers(options.directory, maybePointers)
  if (pointers.length === 0) return 0
  const summary = summaryOf(pointers)
  if (fetch.settings.lfs === 'ignore') {
    fetch.leftOut.push('lfs')
    warnAboutPointers(summary, fetch.onLog)
    return 0
  }
  if (fetch.used.sizeBytes + summary.sizeBytes > options.limits.maxBytes) throw tooLarge(options.limits.maxBytes)
  fetch.onLog(`Fetching files of Git LFS: ${describePointers(summary)}`)
  const deepestFirst = [...parts].sort((a, b) => b.prefix.length - a.prefix.length)
  const holderOf = (name: string) => deepestFirst.find(({ prefix }) => prefix === '' || name.startsWith(`${prefix}/`))
  const timeout = AbortSignal.timeout(timeLeft(fetch))
  for (const part of deepestFirst) {
    const own = pointers.filter(({ name }) => holderOf(name) === part)
    const source = { address: part.address, configuredUrl: part.lfsUrl, directory: options.directory, allowPrivateNetwork: spec.allowPrivateNetwork }
    const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
    try {
      if (own.length > 0) await fetchLargeFiles({ ...source, objectsDirectory: path.join(gitDirectory, 'lfs'), signal }, own)
    } catch (error) {
      if (timeout.aborted && !options.signal?.aborted) throw tooSlow(options.limits.timeoutMs)
      throw error
    }
  }
  return summary.sizeBytes
}

/** Fetches one address, without the retry for a redirect. */
async function fetchFrom(address: PinnedAddress, spec: GitSpec, options: FetchOptions, scratch: string): Promise<SourceTree> {
  const { directory, limits, settings = { submodules: 'fetch', lfs: 'fetch' } } = options
  const onLog = options.onLog ?? noLog
  const gitDirectory = options.mirrorDirectory ?? path.join(scratch, 'repository')
  const fetch: Fetch = {
    ...{ spec, options, scratch, root: address, gitDirectory, settings, onLog },
    deadlineAt: performance.now() + limits.timeoutMs,
    budget: { leftBytes: limits.maxFetchBytes, limitBytes: limits.maxFetchBytes },
    used: { sizeBytes: 0, count: 0 },
    parts: [],
    submodules: 0,
    leftOut: [],
  }
  const git = await openRepository(fetch, address, gitDirectory)
  onLog(`Fetching ${address.url} ${spec.ref ?? ''}`.trimEnd())
  const { sha, branch } = await fetchWanted(git, gitDirectory, address, parseRef(spec.ref), fetch.budget)
  const { treeId, message, author } = await describeCommit(git, sha)
  await place(fetch, git, sha, { address, prefix: '', depth: 0 })
  const { maybePointers, ...size } = await settleTree(directory, limits, onLog)
  const grown = await placeLargeFiles(fetch, maybePointers)
  onLog(`Commit ${sha.slice(0, 12)} ${message}`)
  return {
    directory,
    // The same commit with and without these files is a different source.
    treeId: [treeId, ...fetch.leftOut].join('-without-'),
    commit: { sha, message, author, branch },
    ...size,
    sizeBytes: size.sizeBytes + grown,
  }
}

/** GitLab and others redirect "…/shop" to "…/shop.git": follow only this redirect, because the host stays the same. */
async function followingRedirect<T>(address: PinnedAddress, work: (address: PinnedAddress) => Promise<T>): Promise<T> {
  try {
    return await work(address)
  } catch (error) {
    const reason = isAppError(error) && error.cause instanceof Error ? error.cause.message : ''
    if (!isRedirect(reason) || address.url.endsWith('.git')) throw error
    return work({ ...address, url: `${address.url.replace(/\/$/, '')}.git` })
  }
}

/** Fetches a commit of a Git repository. @throws AppError ERR_SOURCE, ERR_CANCELED, ERR_UNAVAILABLE (no git) */
export async function fetchGit(spec: GitSpec, options: FetchOptions): Promise<SourceTree> {
  parseRef(spec.ref)
  const pin = (url: string) => pinAddress(parseAddress(url), { allowPrivateNetwork: spec.allowPrivateNetwork, signal: options.signal })
  const pinned = await pin(spec.url)
  const address = spec.credentials ? { ...pinned, credentials: spec.credentials } : pinned
  if (options.signal?.aborted) throw canceled()
  await mkdir(options.directory, { recursive: true })
  const scratch = await mkdtemp(path.join(path.dirname(options.directory), '.git-'))
  try {
    return await takeTurns(options.mirrorDirectory, () => followingRedirect(address, (from) => fetchFrom(from, spec, options, scratch)))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
