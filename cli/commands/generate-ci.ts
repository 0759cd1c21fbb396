import { mkdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '@/shared/node/atomic-file'
import { exec } from '@/shared/node/exec'
import { type CiProvider, type CiSettings, ciFiles, ciProviders, isGenerated, isUnchanged, renderCiFile, secretsOf } from '../ci-file'
import { printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ask } from '../prompt'
import { readLink, readProjectFile } from '../settings'
import { Progress } from '../terminal'

export interface GenerateCiOptions {
  provider?: CiProvider
  project?: string
  branch: string
  doppler?: boolean
  dryRun?: boolean
  yes?: boolean
  json?: boolean
}

/** Included by a `.gitlab-ci.yml` that a person wrote. */
const gitlabInclude = '.gitlab/switchyard.gitlab-ci.yml'

/** Writes the CI file of the folder's repository. @throws UsageError when a changed file would be overwritten without an answer */
export async function generateCi(env: CliEnv, directory: string, options: GenerateCiOptions): Promise<void> {
  const progress = new Progress()
  const folder = path.resolve(directory)
  const root = await repositoryOf(folder)
  const provider = options.provider ?? (await detectProvider(env, root))
  const { file, stage } = await placeOf(provider, root)
  const settings: CiSettings = {
    project: checked('project', await projectOf(folder, options.project), /^[\p{L}\p{N}][\p{L}\p{N} ._-]*$/u),
    branch: checked('branch', options.branch, /^[A-Za-z0-9][A-Za-z0-9._/-]*$/),
    folder: checked('folder', path.relative(root, folder) || '.', /^[\p{L}\p{N} ._@/-]+$/u),
    doppler: options.doppler === true,
    stage: checked('stage', stage, /^[\p{L}\p{N} ._:/-]+$/u),
  }
  const text = renderCiFile(provider, settings)
  const secrets = secretsOf(provider, settings)
  if (options.dryRun) return options.json ? printResult({ provider, file, secrets, content: text }) : printResult(text.trimEnd())
  await write(path.join(root, file), text, options)
  if (options.json) return printResult({ provider, file, secrets })
  progress.done(`Wrote ${path.join(root, file)}`)
  if (file === gitlabInclude && !(await readText(path.join(root, '.gitlab-ci.yml')))?.includes(gitlabInclude))
    progress.line(`Include it in .gitlab-ci.yml:\n\n  include:\n    - local: ${gitlabInclude}\n`)
  progress.line(`Set at ${ciFiles[provider].settings}:`)
  for (const { name, value } of secrets) progress.line(`  ${name}  ${value}`)
}

/** Values go into YAML and shell: those with other characters are refused, not escaped. */
function checked(what: string, value: string, allowed: RegExp): string {
  if (allowed.test(value)) return value
  throw new UsageError(`The ${what} ${JSON.stringify(value)} has characters that a CI file cannot hold safely.`, 'Use letters, digits, dots, dashes.')
}

const readText = (file: string): Promise<string | null> =>
  readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw new UsageError(`${file} cannot be read (${error.code ?? error.message}).`)
  })
const exists = async (file: string): Promise<boolean> => (await stat(file).catch(() => null)) !== null

/** The folder that holds `.git`, at or above the folder; outside of a repository the folder itself. */
async function repositoryOf(folder: string): Promise<string> {
  if (!(await exists(folder))) throw new UsageError(`There is no folder ${folder}.`)
  for (let at = folder; ; at = path.dirname(at)) {
    if (await exists(path.join(at, '.git'))) return at
    if (at === path.dirname(at)) return folder
  }
}

async function projectOf(folder: string, named: string | undefined): Promise<string> {
  const known = named ?? (await readLink(folder))?.slug ?? (await readProjectFile(folder))?.name
  return known ?? ask('Name of the project', { preset: path.basename(folder), instead: 'Give --project NAME.' })
}

/** @throws UsageError when neither the Git remote nor the files name one provider */
async function detectProvider(env: CliEnv, root: string): Promise<CiProvider> {
  const remote = await remoteOf(env, root)
  const byRemote = ciProviders.filter((one) => remote.includes(one))
  if (byRemote.length === 1 && byRemote[0]) return byRemote[0]
  const signs = { github: '.github', gitlab: '.gitlab-ci.yml', bitbucket: 'bitbucket-pipelines.yml' } as const
  const present = await Promise.all(ciProviders.map(async (one) => ((await exists(path.join(root, signs[one]))) ? [one] : [])))
  const [only, ...others] = present.flat()
  if (only && others.length === 0) return only
  throw new UsageError('Which CI provider runs this repository is not known.', `Give --provider ${ciProviders.join('|')}`)
}

/** Host of the first remote; '' without a remote or Git. */
async function remoteOf({ path: searched }: CliEnv, root: string): Promise<string> {
  const argv = ['git', '-C', root, 'config', '--get-regexp', '^remote\\..*\\.url$'] as const
  const result = await exec(argv, { env: { PATH: searched }, deadlineMs: 10_000 }).catch(() => null)
  const url = result?.stdout.split('\n')[0]?.split(' ')[1] ?? ''
  return (URL.canParse(url) ? new URL(url).hostname : (/^(?:[^@/]+@)?([^:/]+):/.exec(url)?.[1] ?? '')).toLowerCase()
}

/** Where the file goes, and the stage of its jobs in GitLab. */
async function placeOf(provider: CiProvider, root: string): Promise<{ file: string; stage: string }> {
  const { file } = ciFiles[provider]
  const before = provider === 'gitlab' ? await readText(path.join(root, file)) : null
  if (before === null || isGenerated(before)) return { file, stage: 'deploy' }
  return { file: gitlabInclude, stage: await stageOf(before) }
}

/** `deploy`, or the last stage of a pipeline that has no stage of this name. */
async function stageOf(text: string): Promise<string> {
  // Loaded only here: no other command needs it.
  const { isSeq, parseDocument } = await import('yaml')
  const stages = parseDocument(text).get('stages')
  const names = isSeq(stages) ? stages.toJSON().map(String) : []
  return names.includes('deploy') ? 'deploy' : (names.at(-1) ?? 'deploy')
}

async function write(file: string, text: string, { yes }: GenerateCiOptions): Promise<void> {
  const before = await readText(file)
  if (before !== null && !isUnchanged(before) && !yes) await confirmOverwrite(file)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFileAtomic(file, text, 0o644)
}

async function confirmOverwrite(file: string): Promise<void> {
  const instead = 'See what would be written with --dry-run, or overwrite the file with --yes.'
  const answer = await ask(`${file} was written or changed by somebody else. Overwrite it? Type yes`, { instead })
  if (answer.toLowerCase() !== 'yes') throw new UsageError(`${file} was not changed.`, instead)
}
