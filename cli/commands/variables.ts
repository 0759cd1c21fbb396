import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import pc from 'picocolors'
import { z } from 'zod'
import type { RestAnswer } from '@/server/api/rest/client-types'
import { variableInput } from '@/shared/views'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ask, readStandardInput } from '../prompt'
import { ago, table } from '../terminal'

type Options = ApiOptions & { project?: string; environment?: string }
const pathOf = (projectId: string, key = '') => `/projects/${projectId}/variables${key ? `/${encodeURIComponent(key)}` : ''}`
const inEnvironment = ({ environment }: Options) => (environment ? `?${new URLSearchParams({ environment })}` : '')
const environmentField = ({ environment }: Options) => (environment ? { environment } : {})

/** Lists names and scopes; the API never returns a value. */
export async function listVariables(env: CliEnv, options: Options): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const page = await context.client.call<RestAnswer<'GET /projects/{project}/variables'>>(pathOf(project.id) + inEnvironment(options))
  if (context.json) return printResult(page)
  if (page.items.length === 0) return context.progress.note(`${project.name} has no variable. Set one: switchyard env set KEY=VALUE`)
  const rows = page.items.map((v) => [v.key, v.scope === 'both' ? 'build and runtime' : v.scope, ago(v.updatedAt), v.updatedBy ?? ''])
  printResult(table([['KEY', 'SCOPE', 'CHANGED', 'BY'].map(pc.dim), ...rows]))
}

type SetOptions = Options & { scope: string; file?: string }

/** Sets a variable, or all variables of a file. */
export async function setVariables(env: CliEnv, assignment: string | undefined, options: SetOptions): Promise<void> {
  if (options.file !== undefined && assignment === undefined) return setFromFile(env, options.file, options)
  if (assignment !== undefined && options.file === undefined) return setVariable(env, assignment, options)
  throw new UsageError(
    'Name one variable, or a file of them.',
    'For example: switchyard env set API_KEY < key.txt, or switchyard env set --file .env',
  )
}

/** Lines of the form KEY=VALUE, or a JSON object of strings, which can hold quotes and line ends of every kind. */
function parseVariables(content: string): Record<string, string | undefined> {
  if (!content.trimStart().startsWith('{')) return parseEnv(content)
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(content))
  } catch {
    throw new UsageError('The file is not a JSON object of strings.', 'Nothing was set. Correct the file and try again.')
  }
}

/** Sets all variables of a file. The whole file is validated before the first variable is set. */
async function setFromFile(env: CliEnv, file: string, options: SetOptions): Promise<void> {
  const content = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError(`${file} cannot be read (${cause.code ?? cause.message}).`, 'Name a file with lines of the form KEY=VALUE.')
  })
  const values = Object.entries(parseVariables(content)).map(([key, value = '']) => ({ key, value, scope: options.scope }))
  if (values.length === 0) throw new UsageError(`${file} holds no variable.`, 'Write lines of the form KEY=VALUE.')
  for (const one of values) {
    const issue = variableInput.safeParse(one).error?.issues[0]
    if (issue) throw new UsageError(`${file}: "${one.key}": ${issue.message}`, 'Nothing was set. Correct the file and try again.')
  }
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const saved: RestAnswer<'PUT /projects/{project}/variables/{key}'>[] = []
  for (const { key, value, scope } of values) {
    saved.push(
      await context.client.call<RestAnswer<'PUT /projects/{project}/variables/{key}'>>(pathOf(project.id, key), {
        method: 'PUT',
        body: { value, scope, ...environmentField(options) },
      }),
    )
    const caution = saved.at(-1)?.caution
    if (caution && !context.json) context.progress.warn(caution)
  }
  if (context.json) return printResult({ items: saved })
  context.progress.done(`${values.map(({ key }) => key).join(', ')} set for ${project.name}`, 'takes effect with the next deployment or restart')
}

/** `KEY=VALUE`, or `KEY` with the value on standard input (asked for, hidden, on a terminal). */
async function setVariable(env: CliEnv, assignment: string, options: SetOptions): Promise<void> {
  const at = assignment.indexOf('=')
  const key = at < 0 ? assignment : assignment.slice(0, at)
  const parsed = variableInput.safeParse({ key, value: '', scope: options.scope })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new UsageError(
      `${issue?.path[0] === 'scope' ? `--scope ${options.scope}` : `"${key}"`}: ${issue?.message}`,
      'For example: switchyard env set GREETING=Hello --scope runtime',
    )
  }
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const value =
    at >= 0 ? assignment.slice(at + 1) : process.stdin.isTTY ? await ask(`Value of ${key}`, { hidden: true, instead: '' }) : await readStandardInput()
  const saved = await context.client.call<RestAnswer<'PUT /projects/{project}/variables/{key}'>>(pathOf(project.id, key), {
    method: 'PUT',
    body: { value, scope: options.scope, ...environmentField(options) },
  })
  if (context.json) return printResult(saved)
  if (saved.caution) context.progress.warn(saved.caution)
  context.progress.done(`${key} is set for ${project.name}`, 'takes effect with the next deployment or restart')
}

export async function removeVariable(env: CliEnv, key: string, options: Options): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  await context.client.call(pathOf(project.id, key) + inEnvironment(options), { method: 'DELETE' })
  if (context.json) return printResult({ key, removed: true })
  context.progress.done(`${key} is removed from ${project.name}`, 'takes effect with the next deployment or restart')
}
