import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { slugify } from '@/shared/naming'
import type { ProjectView } from '@/shared/views'
import { Client } from './client'
import type { CliEnv } from './env'
import { UsageError } from './failure'
import { readPages } from './pages'
import { ask } from './prompt'
import { readLink, readProjectFile, readSignIn } from './settings'
import { Progress, withoutControls } from './terminal'

/** Options of every command that calls the API. */
export interface ApiOptions {
  api?: string
  token?: string
  tokenFile?: string
  json?: boolean
}

/** Context of a command: the API client, progress on stderr, results on stdout. */
export interface Context {
  env: CliEnv
  client: Client
  progress: Progress
  json: boolean
}

export const defaultApi = 'http://localhost:3000'

/** Normalizes an address to `https://host:port/base`, without query and fragment. @throws UsageError */
export function normalizeApi(value: string): string {
  const address = /^[a-z]+:\/\//i.test(value) ? value : `http://${value}`
  // Not URL.parse: Node 20 does not have it.
  const url = URL.canParse(address) ? new URL(address) : null
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError(`${value} is not the address of a dashboard.`, `Give one like --api ${defaultApi}`)
  return url.origin + url.pathname.replace(/\/+$/, '')
}

const safeWays = 'give it by --token-file FILE, SWITCHYARD_TOKEN or SWITCHYARD_TOKEN_FILE, or keep it once: switchyard login'

/** The API key from a file, the environment or an option; null: not given. @throws UsageError if the file has no key */
export async function givenToken(env: CliEnv, options: ApiOptions, progress: Progress): Promise<string | null> {
  if (options.token) {
    progress.warn(`Every user of this machine can read a --token key in the list of processes: ${safeWays}.`)
    return options.token
  }
  // Options take precedence over the environment.
  if (options.tokenFile) return readTokenFile(options.tokenFile)
  return env.token ?? (env.tokenFile ? readTokenFile(env.tokenFile) : null)
}

async function readTokenFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      `The key cannot be read from ${file}: ${error.code ?? error.message}.`,
      'Name a file that holds an API key and nothing else.',
    )
  })
  const token = text.trim()
  if (token === '' || /\s/.test(token)) throw new UsageError(`${file} does not hold one API key.`, 'It must hold the key and nothing else.')
  return token
}

/** Option, then environment, then what `login` stored. A stored token is sent to its own API only. */
export async function openContext(env: CliEnv, options: ApiOptions, signal?: AbortSignal): Promise<Context> {
  const stored = await readSignIn(env.configDirectory)
  const api = normalizeApi(options.api ?? env.api ?? stored?.api ?? defaultApi)
  const progress = new Progress()
  const token = (await givenToken(env, options, progress)) ?? (stored && normalizeApi(stored.api) === api ? stored.token : null)
  if (!token)
    throw new UsageError(
      stored ? `You are signed in to ${stored.api}, not to ${api}.` : 'You are not signed in.',
      `Run: switchyard login --api ${api}, or give an API key from the dashboard's settings: SWITCHYARD_TOKEN, or --token-file FILE`,
    )
  const client = new Client(signal ? { api, token, signal } : { api, token })
  return { env, client, progress, json: options.json === true }
}

/** All results are written to stdout here. */
export function printResult(value: unknown): void {
  process.stdout.write(`${typeof value === 'string' ? withoutControls(value) : JSON.stringify(value)}\n`)
}

export const listProjects = (client: Client): Promise<ProjectView[]> => readPages(client, '/projects', {}, Number.POSITIVE_INFINITY)

/** Finds a project by id, exact name or slug. */
function findProject(projects: ProjectView[], nameOrId: string): ProjectView | undefined {
  const slug = slugify(nameOrId)
  return (
    projects.find((p) => p.id === nameOrId || p.name === nameOrId) ??
    projects.find((p) => p.slug === nameOrId) ??
    projects.find((p) => p.slug === slug && slug !== '')
  )
}

/** Project of a command, and where its name came from. */
export interface WantedProject {
  name: string
  /** Project id of a link, which stays valid after a rename. */
  id: string | null
  from: 'option' | 'link' | 'file' | 'answer'
}

/**
 * Determines the project of a command: `--project`, then the folder's link to this API, then `name` of its switchyard.json, then a prompt
 * on a terminal, with `preset` as its default. @throws UsageError without a terminal
 */
export async function wantedProject({ client }: Context, named: string | undefined, directory: string, preset?: string): Promise<WantedProject> {
  if (named) return { name: named, id: null, from: 'option' }
  const link = await readLink(directory)
  if (link && normalizeApi(link.api) === client.api) return { name: link.name, id: link.projectId, from: 'link' }
  const file = await readProjectFile(directory)
  if (file?.name !== undefined) return { name: file.name, id: null, from: 'file' }
  const instead = preset
    ? 'Give --project NAME (it is made when it is missing).'
    : 'Name it (--project NAME), link this folder (switchyard link --project NAME), or give it a switchyard.json (switchyard init).'
  const name = await ask(preset ? 'Name of the project' : 'Which project', { ...(preset ? { preset } : {}), instead })
  if (name) return { name, id: null, from: 'answer' }
  throw new UsageError('No project was named.', instead)
}

export const matchProject = (projects: ProjectView[], wanted: WantedProject): ProjectView | undefined =>
  (wanted.id ? projects.find((project) => project.id === wanted.id) : undefined) ?? findProject(projects, wanted.name)

/** The existing project of a command. @throws UsageError if it does not exist or is not named */
export async function currentProject(context: Context, named: string | undefined, directory = '.'): Promise<ProjectView> {
  const wanted = await wantedProject(context, named, path.resolve(directory))
  const projects = await listProjects(context.client)
  const project = matchProject(projects, wanted)
  if (project) return project
  const there = projects.map((p) => p.slug).slice(0, 10)
  throw new UsageError(
    missing(wanted),
    there.length > 0 ? `There are: ${there.join(', ')}` : 'Deploy one: switchyard deploy path/to/app --project NAME',
  )
}

function missing({ name, from }: WantedProject): string {
  if (from === 'link') return `The project this folder is linked to (${name}) is not there any more.`
  if (from === 'file') return `There is no project ${name}, which this folder's switchyard.json names.`
  return `There is no project ${name}.`
}
