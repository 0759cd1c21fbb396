import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DeploymentView, LogLineView } from '@/shared/views'
import type { RunningPlatform } from './platform'
import { until } from './processes'

const root = fileURLToPath(new URL('../..', import.meta.url))
const deployDeadlineMs = 300_000

export interface CliDeploy {
  code: number
  /** The last line of standard output. */
  result: { deploymentId: string; status: string; url: string; framework: string; timings: Record<string, number> }
  stderr: string
}

/** Runs the command a user runs. A non-zero exit is a result. */
export function cli(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', CI: 'true', ...options.env } as unknown as NodeJS.ProcessEnv
    execFile(
      path.join(root, 'bin/switchyard'),
      args,
      { cwd: options.cwd ?? root, env, timeout: deployDeadlineMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') reject(error)
        else resolve({ code: Number(error?.code ?? 0), stdout, stderr })
      },
    )
  })
}

/** `switchyard deploy DIR --project NAME --json` against a running platform. */
export async function deployByCli(platform: RunningPlatform, directory: string, project: string): Promise<CliDeploy> {
  const { code, stdout, stderr } = await cli(['deploy', directory, '--project', project, '--api', platform.url, '--token', platform.apiKey, '--json'])
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  try {
    return { code, stderr, result: JSON.parse(last) as CliDeploy['result'] }
  } catch {
    throw new Error(`the last line of deploy is not JSON (exit ${code}): ${last}\n${stderr}\n--- platform:\n${platform.output().slice(-3000)}`)
  }
}

/** REST v1 with the owner's key. */
export async function api<T>(platform: RunningPlatform, method: string, route: string, body?: unknown): Promise<{ status: number; body: T }> {
  const answer = await fetch(`${platform.url}/api/v1${route}`, {
    method,
    headers: { authorization: `Bearer ${platform.apiKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await answer.text()
  return { status: answer.status, body: (text ? JSON.parse(text) : null) as T }
}

export const getDeployment = async (platform: RunningPlatform, id: string): Promise<DeploymentView> =>
  (await api<DeploymentView>(platform, 'GET', `/deployments/${id}`)).body

/** Polls the API until `condition` holds for the deployment; connection errors (a control plane that restarts) are waited out. */
export async function deploymentThat(
  platform: RunningPlatform,
  id: string,
  what: string,
  condition: (view: DeploymentView) => boolean,
  deadlineMs = 120_000,
): Promise<DeploymentView> {
  let last: DeploymentView | undefined
  await until(`deployment ${id} ${what}`, deadlineMs, async () => {
    last = await getDeployment(platform, id).catch(() => undefined)
    return last?.status !== undefined && condition(last)
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(last)?.slice(0, 2000)}\n--- platform:\n${platform.output().slice(-4000)}`)
  })
  if (!last) throw new Error('unreachable')
  return last
}

/** Lines of `GET /deployments/:id/logs` without following. */
export async function readLogLines(platform: RunningPlatform, id: string): Promise<LogLineView[]> {
  const answer = await fetch(`${platform.url}/api/v1/deployments/${id}/logs?follow=0`, {
    headers: { authorization: `Bearer ${platform.apiKey}` },
    signal: AbortSignal.timeout(30_000),
  })
  const text = await answer.text()
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:') && line.includes('"text"'))
    .map((line) => JSON.parse(line.slice(5)) as LogLineView)
}

/** A folder of files for one test, removed by `remove`. */
export async function folder(
  files: Record<string, string>,
): Promise<{ directory: string; write(files: Record<string, string>): Promise<void>; remove(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sy-app-'))
  const write = async (given: Record<string, string>) => {
    for (const [name, content] of Object.entries(given)) {
      await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
      await writeFile(path.join(directory, name), content)
    }
  }
  await write(files)
  return { directory, write, remove: () => rm(directory, { recursive: true, force: true }) }
}

/** A server without dependencies, so that a test's time goes into what it tests. `listenAfterMs` makes its start slow. */
export function tinyServer(version: string, options: { listenAfterMs?: number; status?: number; extra?: string } = {}): Record<string, string> {
  return {
    'package.json': JSON.stringify({ name: 'tiny', version: '1.0.0', private: true, scripts: { start: 'node server.js' } }),
    'server.js': `
const http = require('node:http')
const server = http.createServer((request, response) => {
  response.writeHead(${options.status ?? 200}, { 'content-type': 'text/plain' })
  response.end('version ${version} ' + (process.env.GREETING ?? ''))
})
${options.extra ?? ''}
setTimeout(() => server.listen(process.env.PORT, process.env.HOST), ${options.listenAfterMs ?? 0})
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`,
  }
}
