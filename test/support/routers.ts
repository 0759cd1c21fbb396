import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { baseEnv, start } from '@/shared/node/exec'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface WorkerOptions {
  home: string
  port: number
  id: number
  env?: Record<string, string>
}

export interface Routers {
  /** What a worker is, to be run by Node. */
  readonly bundle: string
  /** Starts a worker on the home and port, and resolves when it says that it listens. */
  startWorker(options: WorkerOptions): Promise<ChildProcess>
  /** Ends all workers; removes the bundle, unless more are to come. */
  close(last?: boolean): Promise<void>
}

/** The environment a worker is started in. */
export const workerEnv = ({ home, port, id, env = {} }: WorkerOptions): Record<string, string> => ({
  ...baseEnv,
  SWITCHYARD_HOME: home,
  EDGE_HTTP_PORT: String(port),
  EDGE_HTTPS_PORT: '0',
  EDGE_HOST: '127.0.0.1',
  ROUTER_WORKER_ID: String(id),
  ...env,
})

/** Signals a process, unless it has ended, and resolves with its exit code when it has. */
export async function killed(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    await gone
  }
  return child.exitCode
}

/** Real router processes, bundled from the sources as they are. */
export async function bundleRouters(): Promise<Routers> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sy-router-'))
  const bundle = path.join(directory, 'router.mjs')
  const running = new Set<ChildProcess>()
  await build({
    entryPoints: [path.join(root, 'router/main.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    alias: { '@': root.replace(/\/$/, '') },
    banner: { js: "import { createRequire as shim } from 'node:module'; const require = shim(import.meta.url);" },
    logLevel: 'error',
  })
  return {
    bundle,
    async startWorker(options) {
      const env = workerEnv(options) as unknown as NodeJS.ProcessEnv
      const child = start([process.execPath, bundle], { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      running.add(child)
      await new Promise<void>((resolve, reject) => {
        child.once('message', () => resolve())
        child.once('exit', (code) => reject(new Error(`the router ended with ${code}`)))
      })
      return child
    },
    async close(last = true) {
      for (const child of running) await killed(child)
      running.clear()
      if (last) await rm(directory, { recursive: true, force: true })
    },
  }
}
