import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { SourceSpec, SourceTree } from '@/builder/builder'
import { openTree } from '@/builder/tree-files'
import { isAppError } from '@/shared/errors'
import type { ExecResult } from '@/shared/node/exec'
import { type PinnedAddress, parseAddress, pinAddress } from './address'
import { settleTree } from './checkout'
import type { FetchOptions } from './fetch-options'
import { type Git, openGit } from './git-command'
import { explainGit, isMissingObject, isRedirect, needsDeepFetch } from './git-problem'
import type { SourceLimits } from './limits'
import { canceled, showName, sourceError, tooLarge, tooManyFiles } from './problem'
import { parseRef, type Ref } from './ref'

type GitSpec = Extract<SourceSpec, { kind: 'git' }>

/** What to ask the server for, and the branch it stands for. */
interface Wanted {
  remote: string
  branch: string | null
}

const noLog = () => {}

/** Bytes below a git directory: few files, so a walk is cheap enough to repeat while a fetch runs. */
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

/** Runs a fetch and ends it as soon as the repository on disk has grown by more than the limit. */
async function fetchWithin(git: Git, gitDirectory: string, args: string[], limits: SourceLimits): Promise<ExecResult> {
  const before = await directorySize(gitDirectory)
  const guard = new AbortController()
  let isChecking = false
  const timer = setInterval(async () => {
    if (isChecking) return
    isChecking = true
    if ((await directorySize(gitDirectory)) - before > limits.maxFetchBytes) guard.abort()
    isChecking = false
  }, 200)
  try {
    return await git.run(['fetch', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head', '--no-progress', '--force', ...args], {
      signal: guard.signal,
    })
  } catch (error) {
    if (guard.signal.aborted && isAppError(error) && error.code === 'ERR_CANCELED') throw tooLarge(limits.maxFetchBytes)
    throw error
  } finally {
    clearInterval(timer)
  }
}

async function listRemote(git: Git, address: PinnedAddress, patterns: string[]): Promise<string[]> {
  const result = await git.run(['ls-remote', '--symref', '--', address.url, ...patterns])
  if (result.code !== 0) throw explainGit(result.stderr, address)
  return result.stdout.split('\n').filter(Boolean)
}

/** A few branches that exist, the likeliest first. */
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

/** Brings the wanted commit into the repository, shallow where the server can, and returns its id. */
async function fetchCommit(git: Git, gitDirectory: string, address: PinnedAddress, wanted: Wanted, limits: SourceLimits): Promise<string> {
  // A name of its own for each fetch: two builds may share a mirror.
  const local = `refs/switchyard/${randomBytes(6).toString('hex')}`
  const isCommit = /^[0-9a-f]{40,64}$/.test(wanted.remote)
  if (isCommit && (await git.run(['cat-file', '-e', `${wanted.remote}^{commit}`])).code === 0) return wanted.remote
  const shallow = await fetchWithin(git, gitDirectory, ['--depth=1', '--', address.url, `+${wanted.remote}:${local}/target`], limits)
  let target = `${local}/target`
  if (shallow.code !== 0) {
    if (isCommit && isMissingObject(shallow.stderr)) throw missingCommit(wanted.remote)
    if (!needsDeepFetch(shallow.stderr)) throw explainGit(shallow.stderr, address)
    const refspecs = isCommit ? [`+refs/heads/*:${local}/heads/*`, `+refs/tags/*:${local}/tags/*`] : [`+${wanted.remote}:${local}/target`]
    const deep = await fetchWithin(git, gitDirectory, ['--', address.url, ...refspecs], limits)
    if (deep.code !== 0) throw explainGit(deep.stderr, address)
    if (isCommit) target = wanted.remote
  }
  const parsed = await git.run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${target}^{commit}`])
  if (parsed.code !== 0)
    throw isCommit ? missingCommit(wanted.remote) : sourceError('The tag does not point at a commit', 'Deploy a branch, or a tag of a commit.')
  return parsed.stdout.trim()
}

const missingCommit = (sha: string) =>
  sourceError(`The commit ${sha.slice(0, 12)} is not in the repository`, 'It may have been removed by a force push: deploy the branch again.')

/** `log`, not `show`: show compares the tree, which a "git bomb" makes endless. */
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

/** Adds up the tree before a byte of it is written, so that neither a huge one nor a "git bomb" of nested trees reaches the disk. */
async function measureTree(git: Git, sha: string, limits: SourceLimits, onLog: (text: string) => void): Promise<void> {
  const guard = new AbortController()
  let sizeBytes = 0
  let count = 0
  let submodules = 0
  const result = await git
    .run(['ls-tree', '-r', '--format=%(objectmode) %(objectsize)', '--end-of-options', sha], {
      signal: guard.signal,
      maxOutputBytes: 64 * 1024,
      onLine(stream, line) {
        if (stream !== 'stdout') return
        const [mode, size] = line.trim().split(/\s+/)
        count += 1
        if (mode === '160000') submodules += 1
        else sizeBytes += Number(size) || 0
        if (sizeBytes > limits.maxBytes || count > limits.maxFiles) guard.abort()
      },
    })
    .catch((error: unknown) => {
      if (guard.signal.aborted && isAppError(error) && error.code === 'ERR_CANCELED') return null
      throw error
    })
  if (sizeBytes > limits.maxBytes) throw tooLarge(limits.maxBytes)
  if (count > limits.maxFiles) throw tooManyFiles(limits.maxFiles)
  if (result?.code !== 0)
    throw sourceError('The tree of the commit could not be read', 'Try again; when it happens again, check the repository with git fsck.')
  if (submodules > 0) onLog(`${submodules} submodule${submodules === 1 ? ' is' : 's are'} not fetched: the folder stays empty`)
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
  // A mirror only grows; past this it is cheaper to begin again than to collect garbage.
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

async function warnAboutLfs(directory: string, onLog: (text: string) => void): Promise<void> {
  const attributes = await (await openTree(directory)).read('.gitattributes')
  if (attributes?.includes('filter=lfs')) onLog('Git LFS is not used: files kept there arrive as small pointer files')
}

/** Whole fetch of one address, without the retry for a redirect. */
async function fetchFrom(address: PinnedAddress, spec: GitSpec, options: FetchOptions, scratch: string): Promise<SourceTree> {
  const { directory, limits } = options
  const onLog = options.onLog ?? noLog
  const gitDirectory = options.mirrorDirectory ?? path.join(scratch, 'repository')
  const git = await openGit({
    address,
    gitDirectory,
    home: path.join(scratch, 'home'),
    knownHostsFile: path.join(options.mirrorDirectory ?? scratch, 'known_hosts'),
    sshKeyFile: options.sshKeyFile,
    timeoutMs: limits.timeoutMs,
    signal: options.signal,
  })
  await prepareRepository(git, gitDirectory, limits)
  onLog(`Fetching ${address.url} ${spec.ref ?? ''}`.trimEnd())
  const wanted = await resolveRef(git, address, parseRef(spec.ref))
  const sha = await fetchCommit(git, gitDirectory, address, wanted, limits)
  const { treeId, message, author } = await describeCommit(git, sha)
  await measureTree(git, sha, limits, onLog)
  await checkOut(git, sha, directory, path.join(scratch, 'index'), limits)
  const size = await settleTree(directory, limits, onLog)
  await warnAboutLfs(directory, onLog)
  onLog(`Commit ${sha.slice(0, 12)} ${message}`)
  return { directory, treeId, commit: { sha, message, author, branch: wanted.branch }, ...size }
}

// Fetches into one mirror take turns: git's own locks would make the second one fail.
const mirrorQueues = new Map<string, Promise<unknown>>()
async function takeTurns<T>(mirror: string | undefined, work: () => Promise<T>): Promise<T> {
  if (mirror === undefined) return work()
  const turn = (mirrorQueues.get(mirror) ?? Promise.resolve()).then(work, work)
  const settled = turn.catch(() => {})
  mirrorQueues.set(mirror, settled)
  try {
    return await turn
  } finally {
    if (mirrorQueues.get(mirror) === settled) mirrorQueues.delete(mirror)
  }
}

/** Fetches one commit of a Git repository. @throws AppError ERR_SOURCE, ERR_CANCELED, ERR_UNAVAILABLE (no git) */
export async function fetchGit(spec: GitSpec, options: FetchOptions): Promise<SourceTree> {
  parseRef(spec.ref)
  const pin = (url: string) => pinAddress(parseAddress(url), { allowPrivateNetwork: spec.allowPrivateNetwork, signal: options.signal })
  const pinned = await pin(spec.url)
  const address = spec.credentials ? { ...pinned, credentials: spec.credentials } : pinned
  if (options.signal?.aborted) throw canceled()
  await mkdir(options.directory, { recursive: true })
  const scratch = await mkdtemp(path.join(path.dirname(options.directory), '.git-'))
  try {
    return await takeTurns(options.mirrorDirectory, async () => {
      try {
        return await fetchFrom(address, spec, options, scratch)
      } catch (error) {
        // GitLab and others redirect "…/shop" to "…/shop.git": the one redirect worth guessing, with no new host involved.
        const reason = isAppError(error) && error.cause instanceof Error ? error.cause.message : ''
        if (!isRedirect(reason) || address.url.endsWith('.git')) throw error
        return await fetchFrom({ ...address, url: `${address.url.replace(/\/$/, '')}.git` }, spec, options, scratch)
      }
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
