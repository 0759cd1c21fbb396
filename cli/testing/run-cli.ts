import { fileURLToPath } from 'node:url'
import { baseEnv, exec, start } from '@/shared/node/exec'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

export interface CliRun {
  code: number | null
  stdout: string
  stderr: string
  /** The last line of stdout as JSON. */
  last: Record<string, unknown>
}

export interface CliTarget {
  api: string
  token: string
  /** XDG_CONFIG_HOME of its own. */
  config: string
}

const environment = (target: CliTarget) => ({
  ...baseEnv,
  HOME: target.config,
  XDG_CONFIG_HOME: target.config,
  SWITCHYARD_API: target.api,
  SWITCHYARD_TOKEN: target.token,
})

/** Runs `bin/switchyard` as a user would, to its end. */
export async function runCli(
  target: CliTarget,
  args: string[],
  options: { cwd?: string; input?: string; env?: Record<string, string> } = {},
): Promise<CliRun> {
  const { code, stdout, stderr } = await exec([`${root}/bin/switchyard`, ...args], {
    cwd: options.cwd ?? root,
    env: { ...environment(target), ...options.env },
    deadlineMs: 300_000,
    ...(options.input === undefined ? {} : { input: options.input }),
  })
  return { code, stdout, stderr, last: lastJson(stdout) }
}

function lastJson(stdout: string): Record<string, unknown> {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>
  } catch {
    return {}
  }
}

/** Starts it and interrupts it (Ctrl-C) once `when` is seen in its output. */
export async function interruptCli(target: CliTarget, args: string[], when: RegExp): Promise<CliRun> {
  const child = start([`${root}/bin/switchyard`, ...args], {
    cwd: root,
    env: environment(target) as unknown as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let sent = false
  const interruptOnce = () => {
    if (sent || !when.test(stdout + stderr)) return
    sent = true
    child.kill('SIGINT')
  }
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
    interruptOnce()
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
    interruptOnce()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr, last: lastJson(stdout) }
}
