import path from 'node:path'
import { slugify } from '@/shared/naming'
import type { ProjectView } from '@/shared/views'
import { Client } from './client'
import type { CliEnv } from './env'
import { UsageError } from './failure'
import { readLink, readSignIn } from './settings'
import { Progress, withoutControls } from './terminal'

/** Options every command that asks the API takes. */
export interface ApiOptions {
  api?: string
  token?: string
  json?: boolean
}

/** What a command works with: the API, progress for people on stderr, results on stdout. */
export interface Context {
  env: CliEnv
  client: Client
  progress: Progress
  json: boolean
}

export const defaultApi = 'http://localhost:3000'

/** `https://host:port/base`, without what follows it. @throws UsageError */
export function normalizeApi(value: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(value) ? value : `http://${value}`)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new UsageError(`${value} is not the address of a dashboard.`, `Give one like --api ${defaultApi}`)
  return url.origin + url.pathname.replace(/\/+$/, '')
}

/** Option, then environment, then what `login` stored. A stored token is sent to its own API only. */
export async function openContext(env: CliEnv, options: ApiOptions, signal?: AbortSignal): Promise<Context> {
  const stored = await readSignIn(env.configDirectory)
  const api = normalizeApi(options.api ?? env.api ?? stored?.api ?? defaultApi)
  const token = options.token ?? env.token ?? (stored && normalizeApi(stored.api) === api ? stored.token : null)
  if (!token)
    throw new UsageError(
      stored ? `You are signed in to ${stored.api}, not to ${api}.` : 'You are not signed in.',
      `Run: switchyard login --api ${api}, or give an API key from the dashboard's settings: --token KEY (or SWITCHYARD_TOKEN)`,
    )
  const client = new Client(signal ? { api, token, signal } : { api, token })
  return { env, client, progress: new Progress(), json: options.json === true }
}

/** The one place where results go to stdout. */
export function printResult(value: unknown): void {
  process.stdout.write(`${typeof value === 'string' ? withoutControls(value) : JSON.stringify(value)}\n`)
}

export const listProjects = async (client: Client): Promise<ProjectView[]> => (await client.call<{ items: ProjectView[] }>('/projects')).items

/** By id, by name as written, by slug. */
export function findProject(projects: ProjectView[], nameOrId: string): ProjectView | undefined {
  const slug = slugify(nameOrId)
  return (
    projects.find((p) => p.id === nameOrId || p.name === nameOrId) ??
    projects.find((p) => p.slug === nameOrId) ??
    projects.find((p) => p.slug === slug && slug !== '')
  )
}

/** The project that was named, else the one this folder is linked to. @throws UsageError when there is neither. */
export async function currentProject(context: Context, named: string | undefined, directory = '.'): Promise<ProjectView> {
  const link = named ? null : await readLink(path.resolve(directory))
  const wanted = named ?? link?.projectId
  if (!wanted) throw new UsageError('Which project?', 'Name it (--project NAME), or link this folder: switchyard link --project NAME')
  const projects = await listProjects(context.client)
  const project = findProject(projects, wanted)
  if (project) return project
  const there = projects.map((p) => p.slug).slice(0, 10)
  throw new UsageError(
    named ? `There is no project ${named}.` : `The project this folder is linked to (${link?.name}) is not there any more.`,
    there.length > 0 ? `There are: ${there.join(', ')}` : 'Deploy one: switchyard deploy path/to/app --project NAME',
  )
}
