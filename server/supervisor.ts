import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Logger, pino } from 'pino'
import { stopAllProcesses } from '@/runtime'
import { isAppError } from '@/shared/errors'
import type { ChildProcess } from '@/shared/node/exec'
import { start } from '@/shared/node/exec'
import { isPong, ping, watchForSilence } from '@/shared/node/pings'
import { stopEmbeddedPostgres } from './database/embedded'
import { givenEnvironment, homeOf, readServerEnv, type ServerEnv } from './env'
import { isPortFree, requireFreePorts } from './free-ports'
import { identify, type ProcessIdentity, prepareHome, readPidFile, writePidFile } from './home'
import { controlEnv, controlFlags, routerFlags } from './node-flags'
import { RouterBroadcast } from './router-broadcast'
import { answersHttp, diagnoseSilence } from './silent-process'
import { controlStart, reExecWithoutSecrets, routerEnvironment, takeSecrets } from './start-secrets'

/**
 * `switchyard up`: the parent process of one control process and one router per core. The supervisor starts its children, restarts a child
 * that exits, and stops all of them on SIGTERM. Its only state is the pid files in $SWITCHYARD_HOME/run: when the supervisor dies, routers
 * and apps keep serving, and the next supervisor takes over.
 */

/** sysexits.h EX_CONFIG: a configuration error, so a restart would fail the same way. */
export const exitConfig = 78
const firstRestartMs = 50
const maxRestartMs = 5_000
/** A child that ran this long restarts with the shortest backoff. */
const stableMs = 10_000
const stopDeadlineMs = 45_000
/** A new router listens within a second; after this time the supervisor counts the router as hung. */
const readyDeadlineMs = 20_000
/** Heartbeats in a row without a reply before a process counts as hung. */
const missedHeartbeats = 4
/** Loading code blocks the event loop of a starting process, for long on a busy machine: multiply the heartbeat timeout during start-up. */
const startTimeoutFactor = 6
/** How often to check whether the HTTPS port, in use by another program at start, is free. */
const httpsRetryMs = 15_000
/** Linux 5.14: when a listener closes, its queued connections move to another listener on the same port instead of being reset. */
const migrateFile = '/proc/sys/net/ipv4/tcp_migrate_req'

interface Child {
  name: string
  script: string
  args: string[]
  env: Record<string, string>
  process: ChildProcess | null
  /** Resolves when the current process has exited. */
  ended: Promise<void>
  restartTimer: NodeJS.Timeout | null
  pauseMs: number
  wasReady: boolean
}

/** Exit status and run time of a child process. */
interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  ranMs: number
}

class Supervisor {
  private readonly children: Child[] = []
  private stopping: Promise<void> | null = null
  private reloading: Promise<void> | null = null
  /** Replaced routers that still drain their open requests. */
  private readonly draining = new Set<ChildProcess>()
  private readonly broadcast = new RouterBroadcast()
  private httpsTimer: NodeJS.Timeout | undefined

  constructor(
    private readonly env: ServerEnv,
    private readonly logger: Logger,
    private readonly base: Record<string, string>,
  ) {}

  private runFile(name: string): string {
    return path.join(this.env.home, 'run', `${name}.pid`)
  }

  async start(args: string[]): Promise<void> {
    await this.refuseSecond()
    await this.migrateConnections()
    const left = await this.leftRouters()
    await this.takePorts(left.length > 0)
    // Routers first: they serve the last route table from disk before the control plane is ready.
    await Promise.all(
      Array.from({ length: this.env.edgeWorkers }, (_, i) =>
        this.add(`router-${i}`, 'router.mjs', [], { ROUTER_WORKER_ID: String(i), EDGE_WORKERS: String(this.env.edgeWorkers) }),
      ),
    )
    // `stop()` called meanwhile ends only the children it finds: add no more.
    if (this.stopping) return
    if (this.children.some((child) => !child.wasReady)) {
      this.logger.fatal('The router cannot start; the reason is above.')
      await this.stop()
      process.exit(1)
    }
    for (const old of left) signal(old, 'SIGTERM')
    await this.add('control', 'control.mjs', args, { EDGE_WORKERS: String(this.env.edgeWorkers) })
  }

  private async refuseSecond(): Promise<void> {
    const other = await readPidFile(this.runFile('supervisor'))
    if (other && other.pid !== process.pid) {
      this.logger.fatal(
        `Switchyard is already running on ${this.env.home} (process ${other.pid}). Stop it first, or set SWITCHYARD_HOME to another directory.`,
      )
      process.exit(exitConfig)
    }
    await writePidFile(this.runFile('supervisor'), process.pid)
    // A control process whose supervisor died exits and leaves its apps running. Kill it if it is still here: apps keep running either way.
    const control = await readPidFile(this.runFile('control'))
    if (control) await endProcess(control)
  }

  /**
   * Checks the listening ports before any process starts and before database migrations run. Routers that survived the last supervisor
   * already hold the router ports. When EDGE_HTTPS_PORT is not set and the default port is in use, HTTPS stays off until the port is free.
   * @throws AppError naming the ports that another program uses
   */
  private async takePorts(routersLeft: boolean): Promise<void> {
    const { port, edgeHttpPort, edgeHttpsPort } = this.env
    const isHttpsAsked = Boolean(this.env.inherited.EDGE_HTTPS_PORT)
    await requireFreePorts({
      PORT: port,
      ...(routersLeft ? {} : { EDGE_HTTP_PORT: edgeHttpPort, ...(isHttpsAsked ? { EDGE_HTTPS_PORT: edgeHttpsPort } : {}) }),
    })
    if (routersLeft || isHttpsAsked || edgeHttpsPort === 0 || (await isPortFree(edgeHttpsPort))) return
    this.logger.error(
      { port: edgeHttpsPort },
      `HTTPS is not served: port ${edgeHttpsPort} is in use. Stop the program that listens there, or set EDGE_HTTPS_PORT to a free one. HTTP is served meanwhile.`,
    )
    this.base.EDGE_HTTPS_PORT = '0'
    this.httpsTimer = setInterval(() => void this.takeHttps(), httpsRetryMs).unref()
  }

  private async takeHttps(): Promise<void> {
    if (this.stopping || !(await isPortFree(this.env.edgeHttpsPort))) return
    clearInterval(this.httpsTimer)
    delete this.base.EDGE_HTTPS_PORT
    this.logger.info({ port: this.env.edgeHttpsPort }, 'the port of HTTPS is free now: replacing the routers')
    await this.reload()
  }

  // Without tcp_migrate_req, a router that exits resets the connections in its accept queue. Writing it needs root; other users lose those few.
  private async migrateConnections(): Promise<void> {
    await writeFile(migrateFile, '1').catch((error) => this.logger.debug({ err: error }, `${migrateFile} is left as it is`))
  }

  private async leftRouters(): Promise<ProcessIdentity[]> {
    const found = await Promise.all(Array.from({ length: 256 }, (_, i) => readPidFile(this.runFile(`router-${i}`))))
    return found.filter((p) => p !== null)
  }

  private async add(name: string, script: string, args: string[], env: Record<string, string>): Promise<void> {
    const child: Child = {
      name,
      script,
      args,
      env,
      process: null,
      ended: Promise.resolve(),
      restartTimer: null,
      pauseMs: firstRestartMs,
      wasReady: false,
    }
    this.children.push(child)
    await this.spawn(child)
  }

  /** Resolves when the process reports ready, exits, or fails to spawn. The last two schedule a restart. */
  private spawn(child: Child): Promise<void> {
    try {
      return this.begin(child)
    } catch (error) {
      this.logger.error({ err: error }, `${child.name} could not be started`)
      this.again(child, { code: null, signal: null, ranMs: 0 })
      return Promise.resolve()
    }
  }

  private begin(child: Child): Promise<void> {
    const file = fileURLToPath(new URL(child.script, import.meta.url))
    // `detached` gives the child its own process group: Ctrl-C in a terminal reaches only the supervisor, which stops its children in order.
    const isRouter = child.script === 'router.mjs'
    const control = isRouter ? null : controlStart(this.base)
    const environment = control ? { ...controlEnv, ...control.environment } : routerEnvironment(this.base)
    // A router's command line enables no source maps: reading the map would take a third of its start-up time, and the bundle is not minified.
    const running = start([process.execPath, ...(isRouter ? routerFlags : controlFlags), file, ...child.args], {
      env: { ...environment, ...child.env } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    })
    child.process = running
    const startedAt = Date.now()
    this.recordPid(child, running)
    // A process that failed to spawn or has exited has no IPC channel.
    if (control && running.connected) running.send(control.message, () => {})
    running.on('error', (error) => this.logger.error({ err: error }, `${child.name}: channel error`))
    // A failed spawn (no memory, process limit, missing file) emits only `error`, never `exit`.
    const onEnd = (code: number | null, by: NodeJS.Signals | null) => this.onExit(child, running, { code, signal: by, ranMs: Date.now() - startedAt })
    child.ended = new Promise((resolve) => running.once(running.pid === undefined ? 'error' : 'exit', () => resolve()))
    if (running.pid === undefined) running.once('error', () => onEnd(null, null))
    else running.once('exit', onEnd)
    let isReady = false
    const ready = new Promise<void>((resolve) =>
      running.on('message', (message) => {
        if (isPong(message) || this.broadcast.forward(message, running, this.routers())) return
        child.wasReady = true
        isReady = true
        resolve()
      }),
    )
    this.watch(child, running, () => isReady)
    return Promise.race([child.ended, ready])
  }

  /**
   * Replaces a hung process. Every process must answer heartbeats on its IPC channel; waiting for an unavailable database does not stop
   * those replies. A control process that has reported ready must also answer HTTP.
   */
  private watch(child: Child, running: ChildProcess, isReady: () => boolean): void {
    const silenceMs = this.env.hangSeconds * 1000
    if (silenceMs === 0 || running.pid === undefined) return
    const { port } = this.env
    const heartbeat = async (signal: AbortSignal) => {
      await ping(running, signal)
      if (child.name === 'control' && port !== 0 && isReady()) await answersHttp(port, signal)
    }
    const watch = watchForSilence({
      ask: heartbeat,
      everyMs: silenceMs / missedHeartbeats,
      silenceMs: () => (isReady() ? silenceMs : silenceMs * startTimeoutFactor),
      onSilent: () => void this.replaceSilent(child, running),
    })
    running.once('exit', () => watch.stop())
  }

  private async replaceSilent(child: Child, running: ChildProcess): Promise<void> {
    const { reason, ...state } = await diagnoseSilence(running.pid ?? 0)
    if (this.stopping || running.exitCode !== null || running.signalCode !== null) return
    this.logger.error(
      { pid: running.pid, ...state },
      `${child.name} has not answered for ${this.env.hangSeconds} s: ${reason}. It is ended and replaced; apps and the other processes go on.`,
    )
    running.kill('SIGKILL')
  }

  // A full disk must not stop supervision: only the next supervisor needs the pid file.
  private recordPid({ name }: Child, { pid }: ChildProcess): void {
    if (pid === undefined) return
    const failed = (error: unknown) => this.logger.warn({ err: error, pid }, `${name}: its pid file cannot be written`)
    writePidFile(this.runFile(name), pid).catch(failed)
  }

  private *routers(): IterableIterator<ChildProcess> {
    for (const { name, process: running } of this.children) if (running && name !== 'control') yield running
    yield* this.draining
  }

  private onExit(child: Child, ended: ChildProcess, exit: Exit): void {
    // A replaced router exits when it has drained: no restart.
    if (child.process !== ended) return
    child.process = null
    if (this.stopping) return
    // Stop everything only when the control process has never been ready: otherwise routers keep serving.
    if (child.name === 'control' && exit.code === exitConfig && !child.wasReady) {
      void this.stop().then(() => process.exit(1))
      return
    }
    this.again(child, exit)
  }

  private again(child: Child, exit: Exit): void {
    if (this.stopping) return
    child.pauseMs = exit.ranMs > stableMs ? firstRestartMs : Math.min(maxRestartMs, child.pauseMs * 2)
    this.logger.error(
      { code: exit.code, signal: exit.signal },
      `${child.name} ended; starting it again in ${child.pauseMs} ms. The others keep running.`,
    )
    child.restartTimer = setTimeout(() => void this.spawn(child), child.pauseMs)
  }

  /**
   * Replaces every process with the version now on disk without refusing a connection: each new router accepts connections before the
   * old router drains. When a router of the new version does not start, the old processes keep running.
   */
  reload(): Promise<void> {
    this.reloading ??= this.reloadAll().finally(() => {
      this.reloading = null
    })
    return this.reloading
  }

  private async reloadAll(): Promise<void> {
    for (const child of this.children.filter((c) => c.name !== 'control')) {
      const { process: old, ended } = child
      if (!old || this.stopping) continue
      // `spawn` overwrites `child.process`: keep the old process where `stop()` finds it.
      this.draining.add(old)
      old.once('exit', () => this.draining.delete(old))
      const ready = await Promise.race([this.spawn(child).then(() => true), deadline(readyDeadlineMs)])
      if (!ready || child.process === null || child.process === old) {
        this.logger.error(`the new ${child.name} did not start: the old one goes on, nothing else is replaced`)
        this.keep(child, old, ended)
        return
      }
      old.kill('SIGTERM')
    }
    const control = this.children.find((c) => c.name === 'control')
    if (this.stopping || !control?.process) return
    // The control process takes a closed IPC channel for a dead supervisor: it exits without stopping apps, then `onExit` restarts it.
    control.process.disconnect()
    this.logger.info('reloaded: routers replaced, the control process is being replaced')
  }

  /** Restores the old process as the child's current process and kills the failed replacement. */
  private keep(child: Child, old: ChildProcess, ended: Promise<void>): void {
    if (child.restartTimer) clearTimeout(child.restartTimer)
    const failed = child.process
    this.draining.delete(old)
    child.process = old
    child.ended = ended
    if (failed !== old) failed?.kill('SIGKILL')
    this.recordPid(child, old)
    // `onExit` ignores a process that is not current: restart the old process if it exited meanwhile.
    if (old.exitCode !== null || old.signalCode !== null) void this.spawn(child)
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopAll()
    return this.stopping
  }

  private async stopAll(): Promise<void> {
    clearInterval(this.httpsTimer)
    for (const child of this.children) if (child.restartTimer) clearTimeout(child.restartTimer)
    // Control process first: it stops apps, builds and the database. Routers keep serving until then.
    await this.end(this.children.filter((c) => c.name === 'control'))
    await stopAllProcesses(this.env.home).catch((error) => this.logger.error({ err: error }, 'an app process could not be stopped'))
    if (!this.env.databaseUrl)
      await stopEmbeddedPostgres({ home: this.env.home }).catch((error) =>
        this.logger.error({ err: error }, 'the embedded Postgres could not be stopped'),
      )
    for (const old of this.draining) old.kill('SIGKILL')
    await this.end(this.children.filter((c) => c.name !== 'control'))
    for (const name of ['supervisor', ...this.children.map((c) => c.name)]) await rm(this.runFile(name), { force: true })
  }

  private async end(children: Child[]): Promise<void> {
    await Promise.all(
      children.map(async (child) => {
        const running = child.process
        if (!running) return
        running.kill('SIGTERM')
        const timer = setTimeout(() => running.kill('SIGKILL'), stopDeadlineMs)
        await child.ended
        clearTimeout(timer)
      }),
    )
  }
}

const deadline = (ms: number) =>
  new Promise<false>((resolve) => {
    setTimeout(() => resolve(false), ms).unref()
  })

/** Sends a signal. A process that has already exited is not an error. */
function signal({ pid }: ProcessIdentity, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Kills a process that is not a child and waits until it is gone. */
async function endProcess(process_: ProcessIdentity): Promise<void> {
  signal(process_, 'SIGKILL')
  while ((await identify(process_.pid))?.startTime === process_.startTime) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function main(): Promise<void> {
  const given = givenEnvironment()
  const env = readServerEnv({ ...given, ...(await takeSecrets(homeOf(given), given)) })
  const logger = pino({ level: env.logLevel, base: { process: 'supervisor' } })
  await prepareHome(env.home)
  await reExecWithoutSecrets(env.home, given)
  const base = { ...env.inherited, SWITCHYARD_HOME: env.home, NODE_COMPILE_CACHE: path.join(env.home, 'run', 'compile-cache') }
  const supervisor = new Supervisor(env, logger, base)
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      logger.info(`${signal}: stopping`)
      void supervisor.stop().then(() => process.exit(0))
    })
  process.on('SIGHUP', () => {
    logger.info('SIGHUP: replacing routers and control process')
    void supervisor.reload()
  })
  await supervisor.start(process.argv.slice(2))
}

main().catch((error) => {
  const next = isAppError(error) && error.details.nextAction ? `\n${error.details.nextAction}` : ''
  process.stderr.write(`switchyard: ${isAppError(error) ? error.message : error.stack}${next}\n`)
  process.exit(exitConfig)
})
