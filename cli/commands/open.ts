import { exec } from '@/shared/node/exec'
import { type ApiOptions, currentProject, openContext, printResult } from '../context'
import type { CliEnv } from '../env'

/** Prints the project's address, and opens it in a browser if available. */
export async function openProject(env: CliEnv, named: string | undefined, options: ApiOptions): Promise<void> {
  const context = await openContext(env, options)
  const project = await currentProject(context, named)
  printResult(context.json ? { url: project.url, live: project.liveDeployment !== null } : project.url)
  if (!project.liveDeployment) context.progress.warn(`${project.name} is not live yet.`)
  else if (!context.json && env.hasDisplay && !env.ci && process.stdout.isTTY) await showInBrowser(env, project.url)
}

/** A missing browser is not an error: the address has been printed. */
async function showInBrowser(env: CliEnv, url: string): Promise<void> {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  await exec([program, url], { deadlineMs: 10_000, env: { ...env.desktop, PATH: env.path } }).catch(() => {})
}
