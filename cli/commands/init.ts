import path from 'node:path'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'
import { UsageError } from '../failure'
import { ask } from '../prompt'
import { type ProjectFile, readProjectFile, writeLink, writeProjectFile } from '../settings'
import { Progress } from '../terminal'

export interface InitOptions {
  name?: string
  rootDirectory?: string
  installCommand?: string
  buildCommand?: string
  startCommand?: string
  outputDirectory?: string
  healthCheckPath?: string
  force?: boolean
  json?: boolean
}

/** Writes `switchyard.json`: the project name, and settings that override detection. */
export async function init(env: CliEnv, directory: string, options: InitOptions): Promise<void> {
  const root = path.resolve(directory)
  if (!options.force && (await readProjectFile(root)))
    throw new UsageError(`${path.join(root, 'switchyard.json')} is there already.`, 'Edit it, or write it anew with --force.')
  const preset = path.basename(root)
  const name = options.name ?? (env.ci || !process.stdin.isTTY ? preset : await ask('Name of the project', { preset, instead: 'Give --name NAME' }))
  const { force: _, json, name: __, ...settings } = options
  const file: ProjectFile = { name, ...settings }
  const written = await writeProjectFile(root, file)
  if (json) return printResult({ file: written, ...file })
  new Progress().done(`Wrote ${written}`, 'next: switchyard deploy')
}

/** Links a folder to a project. */
export async function linkFolder(env: CliEnv, directory: string, options: ApiOptions & { project?: string }): Promise<void> {
  const context = await openContext(env, options)
  const root = path.resolve(directory)
  const project = await currentProject(context, options.project, root)
  await writeLink(root, { projectId: project.id, name: project.name, slug: project.slug, api: context.client.api })
  if (context.json) return printResult({ projectId: project.id, slug: project.slug })
  context.progress.done(`${root} is linked to ${project.name}`, project.url)
}
