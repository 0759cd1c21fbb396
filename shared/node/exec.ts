// biome-ignore lint/style/noRestrictedImports: this is the one wrapper through which child processes start
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

export type { ChildProcess }

import { AppError } from '../errors'

export interface ExecOptions {
  cwd?: string
  /** The complete environment of the child: nothing is inherited. */
  env?: Record<string, string>
  /** Required: every outside call has a deadline. */
  deadlineMs: number
  signal?: AbortSignal
  uid?: number
  gid?: number
  /** Written to standard input. Without it, standard input is closed. */
  input?: string | Uint8Array
  /** Maximum bytes kept of stdout and of stderr; later output is dropped. Default: 1 MiB. */
  maxOutputBytes?: number
  onLine?: (stream: 'stdout' | 'stderr', line: string) => void
}

export interface ExecResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** PATH and locale for the platform's own tools. The full environment would expose secrets. */
export const baseEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' } as const

/** Kills a process group started with `detached: true`; falls back to the process alone. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid])
    try {
      process.kill(target, signal)
      return
    } catch {
      // The process has ended, or has no group of its own.
    }
}

/** Starts `argv` (never a shell string) in its own process group. Low-level: prefer `exec`. */
export function start(argv: readonly [string, ...string[]], options: SpawnOptions): ChildProcess {
  const [file, ...args] = argv
  return spawn(file, args, { ...options, shell: false })
}

/**
 * Runs `argv` to its end and returns code and output; a non-zero code is a result, not an error.
 * On abort or past the deadline the whole process group is killed.
 * @throws AppError ERR_DEADLINE past `deadlineMs`, ERR_CANCELED on abort, ERR_UNAVAILABLE when the file cannot be started.
 */
export function exec(argv: readonly [string, ...string[]], options: ExecOptions): Promise<ExecResult> {
  const { deadlineMs, signal, input, onLine } = options
  const maxOutputBytes = options.maxOutputBytes ?? 1024 * 1024
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AppError('ERR_CANCELED', `${argv[0]} was canceled before it began`))
    const child = start(argv, {
      cwd: options.cwd,
      // The types of Next require NODE_ENV, but the child gets only the given variables.
      env: (options.env ?? { ...baseEnv }) as NodeJS.ProcessEnv,
      uid: options.uid,
      gid: options.gid,
      detached: true,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    let failure: AppError | undefined
    const stop = (error: AppError) => {
      failure ??= error
      if (child.pid) killGroup(child.pid, 'SIGKILL')
    }
    const timer = setTimeout(() => stop(new AppError('ERR_DEADLINE', `${argv[0]} did not end within ${deadlineMs} ms`)), deadlineMs)
    const onAbort = () => stop(new AppError('ERR_CANCELED', `${argv[0]} was canceled`))
    signal?.addEventListener('abort', onAbort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const out = { stdout: collector('stdout'), stderr: collector('stderr') }
    function collector(stream: 'stdout' | 'stderr') {
      const chunks: Buffer[] = []
      let size = 0
      let rest = ''
      const decoder = new TextDecoder()
      child[stream]?.on('data', (chunk: Buffer) => {
        if (size < maxOutputBytes) chunks.push(chunk.subarray(0, maxOutputBytes - size))
        size += chunk.length
        if (!onLine) return
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
        rest = (lines.pop() ?? '').slice(0, maxOutputBytes)
        for (const line of lines) onLine(stream, line.replace(/\r$/, ''))
      })
      return {
        end(): string {
          if (rest) onLine?.(stream, rest)
          return Buffer.concat(chunks).toString('utf8')
        },
      }
    }
    child.on('error', (cause) => {
      settle()
      reject(new AppError('ERR_UNAVAILABLE', `cannot start ${argv[0]}: ${cause.message}`, { cause }))
    })
    child.on('close', (code, killedBy) => {
      settle()
      const result = { code, signal: killedBy, stdout: out.stdout.end(), stderr: out.stderr.end() }
      if (failure) reject(failure)
      else resolve(result)
    })
    if (input !== undefined) {
      child.stdin?.on('error', () => {})
      child.stdin?.end(input)
    }
  })
}
