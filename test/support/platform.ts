import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeProjectObjects } from './engine'
import { freePorts } from './ports'
import { type ProcessTree, until, watchTree } from './processes'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readyDeadlineMs = 90_000
const stopDeadlineMs = 60_000
const keptOutput = 256 * 1024

export interface PlatformOptions {
  runtime: 'docker' | 'process'
  /** Kept after `stop`; without it a temporary one that is removed. */
  home?: string
  /** Without it the embedded Postgres. */
  databaseUrl?: string
  /** May need to know the ports of the edge, as a CA and visitors see them. */
  env?: Record<string, string> | ((ports: { http: number; https: number }) => Promise<Record<string, string>>)
}

export type Role = 'supervisor' | 'control' | 'router'

export interface RunningPlatform {
  /** Dashboard and API. */
  url: string
  /** Owner's key of the first team. */
  apiKey: string
  /** Account of that owner. */
  email: string
  password: string
  edgePort: number
  edgeHttpsPort: number
  home: string
  /** Logs of all its processes, the newest end. */
  output(): string
  pids(): Promise<Record<Role, number[]>>
  /** Commands of all its processes that live, apps and database included. */
  processes(): string[]
  /** Signals every process of that role. */
  kill(role: Role, signal?: NodeJS.Signals): Promise<void>
  /** Resolves when GET /api/health answers 200. */
  ready(): Promise<void>
  /** GET through the edge, as a browser at `hostname` would. */
  visit(hostname: string, pathname?: string, headers?: Record<string, string>): Promise<Visit>
  /** Starts it again with the same home and ports; call after `stop({ keep: true })` or after killing the supervisor. */
  restart(): Promise<void>
  /**
   * SIGTERM, waits for its end, removes the containers of this installation and a temporary home. Throws when a process is left behind.
   * `keep`: home and containers stay, for `restart`.
   */
  stop(options?: { keep?: boolean }): Promise<void>
}

export interface Visit {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Starts the built platform (dist/switchyard.mjs) on free ports of 127.0.0.1 and waits until it is ready. */
export async function startPlatform(options: PlatformOptions): Promise<RunningPlatform> {
  const script = path.join(root, 'dist/switchyard.mjs')
  if (!existsSync(script)) throw new Error('the platform is not built: npm run build')
  const home = options.home ?? (await mkdtemp(path.join(tmpdir(), 'sy-home-')))
  // Apps and the database run as users of their own and must be able to walk through.
  await chmod(home, 0o711)
  const [port, edgePort, edgeHttpsPort] = (await freePorts(3)) as [number, number, number]
  const marker = `SWITCHYARD_TEST_PLATFORM=${randomBytes(6).toString('hex')}`
  const account = { email: 'owner@example.com', password: randomBytes(12).toString('hex'), apiKey: `sy_${randomBytes(24).toString('hex')}` }
  const env = {
    ...inheritedEnv(),
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    SWITCHYARD_HOME: home,
    SWITCHYARD_RUNTIME: options.runtime,
    PORT: String(port),
    EDGE_HTTP_PORT: String(edgePort),
    EDGE_HTTPS_PORT: String(edgeHttpsPort),
    BASE_DOMAIN: 'localhost',
    SWITCHYARD_BOOTSTRAP_EMAIL: account.email,
    SWITCHYARD_BOOTSTRAP_PASSWORD: account.password,
    SWITCHYARD_BOOTSTRAP_API_KEY: account.apiKey,
    ...(options.databaseUrl ? { DATABASE_URL: options.databaseUrl } : {}),
    ...(typeof options.env === 'function' ? await options.env({ http: edgePort, https: edgeHttpsPort }) : options.env),
    [marker.split('=')[0] as string]: marker.split('=')[1] as string,
  }
  const url = `http://127.0.0.1:${port}`
  const tree = watchTree(marker)
  let output = ''
  const start = () => {
    const child = launch(script, env, (text) => {
      output = (output + text).slice(-keptOutput)
    })
    if (child.pid) tree.add(child.pid)
    return child
  }
  let current = start()
  const ready = () =>
    waitUntilReady(
      url,
      home,
      () => current,
      () => output,
    )

  const platform: RunningPlatform = {
    url,
    ...account,
    edgePort,
    edgeHttpsPort,
    home,
    output: () => output,
    pids: () => readPids(home),
    processes: () => tree.alive().map(({ command }) => command),
    kill: async (role, signal = 'SIGKILL') => {
      for (const pid of (await readPids(home))[role]) process.kill(pid, signal)
    },
    ready,
    visit: (hostname, pathname = '/', headers = {}) => get(edgePort, hostname, pathname, headers),
    restart: async () => {
      current = start()
      await ready()
    },
    stop: async ({ keep = false } = {}) => {
      const projects = options.runtime === 'docker' && !keep ? await projectIds(url, account.apiKey) : []
      const left = await end(current, tree)
      if (!keep) {
        tree.close()
        await removeProjectObjects(projects)
        if (options.home === undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 })
      }
      if (left.length > 0) throw new Error(`the platform left processes behind:\n${left.join('\n')}\n--- its output:\n${output.slice(-4000)}`)
    },
  }
  try {
    await ready()
    return platform
  } catch (error) {
    await platform.stop().catch(() => {})
    throw error
  }
}

/** Nothing of the test runner's own environment (NODE_OPTIONS, VITEST, DATABASE_URL …) reaches the platform. */
function inheritedEnv(): Record<string, string> {
  const names = [
    'PATH',
    'HOME',
    'LANG',
    'TMPDIR',
    'DOCKER_HOST',
    'SWITCHYARD_TEST_RUN',
    'NODE_EXTRA_CA_CERTS',
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'NO_PROXY',
  ]
  const all = [...names, ...names.map((name) => name.toLowerCase()), 'npm_config_registry']
  return Object.fromEntries(all.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

function launch(script: string, env: Record<string, string>, onOutput: (text: string) => void): ChildProcess {
  const child = spawn(path.join(root, 'node_modules/.bin/node'), [script], {
    cwd: root,
    env: env as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => onOutput(chunk.toString()))
  child.on('error', (error) => onOutput(String(error)))
  return child
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

async function waitUntilReady(url: string, home: string, current: () => ChildProcess, output: () => string): Promise<void> {
  try {
    await until('GET /api/health answers 200', readyDeadlineMs, async () => {
      if (hasEnded(current())) throw new Error(`the platform ended with ${current().exitCode ?? current().signalCode}`)
      const answer = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined)
      const body = await answer?.json().catch(() => null)
      const installation = await readFile(path.join(home, 'installation'), 'utf8').catch(() => '')
      return answer?.status === 200 && (body as { installation?: string } | null)?.installation === installation.trim()
    })
  } catch (error) {
    throw new Error(`${(error as Error).message}\n--- its output:\n${output().slice(-8000)}`, { cause: error })
  }
}

/** Asked while it still runs: afterwards its database is gone. */
async function projectIds(url: string, apiKey: string): Promise<string[]> {
  const answer = await fetch(`${url}/api/v1/projects`, { headers: { authorization: `Bearer ${apiKey}` }, signal: AbortSignal.timeout(10_000) }).catch(
    () => undefined,
  )
  if (!answer?.ok) return []
  const body = (await answer.json()) as { projects?: { id: string }[]; items?: { id: string }[] }
  return (body.projects ?? body.items ?? []).map(({ id }) => id)
}

/** Ends the platform; what is still alive afterwards is named and killed. */
async function end(child: ChildProcess, tree: ProcessTree): Promise<string[]> {
  const left: string[] = []
  if (!hasEnded(child)) {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const timer = setTimeout(() => {
      left.push(`${child.pid} the supervisor itself did not end within ${stopDeadlineMs} ms of SIGTERM`)
      child.kill('SIGKILL')
    }, stopDeadlineMs)
    child.kill('SIGTERM')
    await ended
    clearTimeout(timer)
  }
  await until('every process ended', 5000, () => tree.alive().length === 0).catch(() => {})
  for (const { pid, command } of tree.alive()) {
    left.push(`${pid} ${command}`)
    process.kill(pid, 'SIGKILL')
  }
  return left
}

async function readPids(home: string): Promise<Record<Role, number[]>> {
  const pid = async (name: string): Promise<number[]> => {
    const text = await readFile(path.join(home, 'run', `${name}.pid`), 'utf8').catch(() => undefined)
    return text ? [(JSON.parse(text) as { pid: number }).pid] : []
  }
  const routers = await Promise.all(Array.from({ length: 16 }, (_, worker) => pid(`router-${worker}`)))
  return { supervisor: await pid('supervisor'), control: await pid('control'), router: routers.flat() }
}

function get(port: number, hostname: string, pathname: string, headers: Record<string, string>): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const req = request(
      { host: '127.0.0.1', port, path: pathname, headers: { ...headers, host: `${hostname}:${port}` }, agent: false, timeout: 30_000 },
      (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString() }))
        res.on('error', reject)
      },
    )
    req.on('timeout', () => req.destroy(new Error(`no answer for ${hostname}${pathname} within 30 s`)))
    req.on('error', reject)
    req.end()
  })
}
