import pc from 'picocolors'
import { type VariableView, variableInput } from '@/shared/views'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ask, readStandardInput } from '../prompt'
import { ago, table } from '../terminal'

type Options = ApiOptions & { project?: string }
const pathOf = (projectId: string, key = '') => `/projects/${projectId}/variables${key ? `/${encodeURIComponent(key)}` : ''}`

/** Names and scopes; the API never gives a value back. */
export async function listVariables(env: CliEnv, options: Options): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  const page = await context.client.call<{ items: VariableView[] }>(pathOf(project.id))
  if (context.json) return printResult(page)
  if (page.items.length === 0) return context.progress.note(`${project.name} has no variable. Set one: switchyard env set KEY=VALUE`)
  const rows = page.items.map((v) => [v.key, v.scope === 'both' ? 'build and runtime' : v.scope, ago(v.updatedAt), v.updatedBy ?? ''])
  printResult(table([['KEY', 'SCOPE', 'CHANGED', 'BY'].map(pc.dim), ...rows]))
}

/** `KEY=VALUE`, or `KEY` with the value on standard input (asked for, hidden, on a terminal). */
export async function setVariable(env: CliEnv, assignment: string, options: Options & { scope: string }): Promise<void> {
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
  const saved = await context.client.call<VariableView>(pathOf(project.id, key), { method: 'PUT', body: { value, scope: options.scope } })
  if (context.json) return printResult(saved)
  if (saved.caution) context.progress.warn(saved.caution)
  context.progress.done(`${key} is set for ${project.name}`, 'in effect from the next deployment on')
}

export async function removeVariable(env: CliEnv, key: string, options: Options): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, options.project)
  await context.client.call(pathOf(project.id, key), { method: 'DELETE' })
  if (context.json) return printResult({ key, removed: true })
  context.progress.done(`${key} is removed from ${project.name}`, 'in effect from the next deployment on')
}
