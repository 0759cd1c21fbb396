import type { ChildProcess } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { baseEnv, start } from '@/shared/node/exec'
import { freePorts } from './ports'
import { killed } from './routers'

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** Says that it is ready and ends when told to; or does what the file `mode` beside it says: `hang` (and hears no SIGTERM), `crash`. */
const scriptedChild = `
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
const mode = readFileSync(new URL('./mode', import.meta.url), 'utf8')
if (mode === 'crash' && process.argv[1].endsWith('router.mjs')) process.exit(1)
const hangs = mode === 'hang' && process.argv[1].endsWith('router.mjs')
process.on('SIGTERM', () => { if (!hangs) process.exit(0) })
process.on('disconnect', () => { if (process.argv[1].endsWith('control.mjs')) process.exit(0) })
setInterval(() => {}, 60_000)
process.on('message', (message) => message.type === 'secrets' && console.log('told ' + message.values.DATABASE_URL))
process.on('message', (message) => message.type === 'ping' && !hangs && process.send({ type: 'pong' }))
if (process.argv[1].endsWith('control.mjs')) createServer((_, res) => res.end()).listen(Number(process.env.PORT))
if (!hangs) process.send({ type: 'ready' })
`

export interface SupervisedHome {
  readonly home: string
  readonly port: number
  readonly edgePort: number
  /** What routers that start from now on do. */
  behave(mode: 'ready' | 'hang' | 'crash'): Promise<void>
  /** `node`: the program that it and all its children are. */
  start(node?: string, env?: Record<string, string>): Promise<ChildProcess>
  /** Of a process by its name: `router-0`, `control`. */
  pid(name: string): Promise<number>
  output(): string
  close(): Promise<void>
}

/** The real supervisor over a scripted control process, and scripted routers or real ones. */
export async function supervisedHome(routers: 'scripted' | 'real'): Promise<SupervisedHome> {
  const directory = await mkdtemp(path.join(tmpdir(), 'sy-supervisor-'))
  const home = path.join(directory, 'home')
  const [port = 0, edgePort = 0, edgeHttpsPort = 0] = await freePorts(3)
  const entryPoints = { switchyard: 'server/supervisor.ts', ...(routers === 'real' ? { router: 'router/main.ts' } : {}) }
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    packages: 'external',
    tsconfig: 'tsconfig.json',
    alias: { '@': root, 'server-only': path.join(root, 'test/server-only.ts') },
    logLevel: 'error',
  })
  await symlink(path.join(root, 'node_modules'), path.join(directory, 'node_modules'))
  await writeFile(path.join(directory, 'mode'), 'ready')
  await writeFile(path.join(directory, 'control.mjs'), scriptedChild)
  if (routers === 'scripted') await writeFile(path.join(directory, 'router.mjs'), scriptedChild)
  await chmod(directory, 0o711)
  let running: ChildProcess | undefined
  let output = ''
  return {
    home,
    port,
    edgePort,
    behave: (mode) => writeFile(path.join(directory, 'mode'), mode),
    async start(node = process.execPath, extra = {}) {
      const env = {
        ...baseEnv,
        SWITCHYARD_HOME: home,
        // Nobody connects; it says that there is no embedded one to be stopped.
        DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
        PORT: String(port),
        EDGE_HTTP_PORT: String(edgePort),
        EDGE_HTTPS_PORT: String(edgeHttpsPort),
        EDGE_WORKERS: '2',
        LOG_LEVEL: 'info',
        ...extra,
      } as unknown as NodeJS.ProcessEnv
      const child = start([node, path.join(directory, 'switchyard.mjs')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
      running = child
      return child
    },
    async pid(name) {
      const text = await readFile(path.join(home, 'run', `${name}.pid`), 'utf8').catch(() => '{}')
      return (JSON.parse(text) as { pid?: number }).pid ?? 0
    },
    output: () => output,
    async close() {
      if (running) await killed(running, 'SIGTERM')
      await rm(directory, { recursive: true, force: true })
    },
  }
}
