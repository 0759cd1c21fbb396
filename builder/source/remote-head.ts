import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { SourceSpec } from '@/builder/builder'
import { parseAddress, pinAddress } from './address'
import { openGit } from './git-command'
import { explainGit } from './git-problem'
import { sourceError } from './problem'
import { isRefName } from './ref'

/** The head of a branch as the repository has it now. */
interface RemoteHead {
  sha: string
  branch: string | null
}

const timeoutMs = 20_000

/**
 * Asks the repository for the head of a branch, or of its default branch for null, without fetching anything. null: there is no such branch.
 * @throws AppError ERR_SOURCE as a fetch does, ERR_CANCELED on abort
 */
export async function readRemoteHead(
  spec: Extract<SourceSpec, { kind: 'git' }>,
  branch: string | null,
  options: { knownHostsFile?: string; signal?: AbortSignal } = {},
): Promise<RemoteHead | null> {
  if (branch !== null && !isRefName(branch)) throw sourceError('The name of the branch is not valid', 'Rename the branch.')
  const { signal } = options
  const parsed = parseAddress(spec.url)
  const address = await pinAddress(
    { ...parsed, credentials: spec.credentials ?? parsed.credentials },
    { allowPrivateNetwork: spec.allowPrivateNetwork, ...(signal ? { signal } : {}) },
  )
  const scratch = await mkdtemp(path.join(tmpdir(), 'switchyard-head-'))
  try {
    const git = await openGit({
      address,
      gitDirectory: path.join(scratch, 'git'),
      home: path.join(scratch, 'home'),
      knownHostsFile: options.knownHostsFile ?? path.join(scratch, 'known_hosts'),
      timeoutMs,
      ...(signal ? { signal } : {}),
    })
    const wanted = branch === null ? 'HEAD' : `refs/heads/${branch}`
    // Without a repository of its own git would look for one around the working directory.
    await git.run(['init', '--quiet', '--bare', '--template='])
    const result = await git.run(['ls-remote', '--symref', '--', address.url, wanted])
    if (result.code !== 0) throw explainGit(result.stderr, address)
    return readAnswer(result.stdout, wanted, branch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Lines of `ls-remote --symref`. A pattern also matches the end of longer names: only the exact one counts. */
function readAnswer(output: string, wanted: string, branch: string | null): RemoteHead | null {
  const lines = output.split('\n')
  const sha = lines.find((line) => /^[0-9a-f]{40,64}\t/.test(line) && line.endsWith(`\t${wanted}`))?.split('\t')[0]
  if (!sha) return null
  const symref = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(output)
  return { sha, branch: branch ?? symref?.[1] ?? null }
}
