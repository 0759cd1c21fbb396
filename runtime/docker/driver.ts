import type Docker from 'dockerode'
import { AppError, isAppError } from '@/shared/errors'
import type { Reach } from '@/shared/node/reach'
import { type Cgroup, cgroupOfProcess, readCgroupStats } from '../cgroup'
import type { InstanceLogLine, InstanceSpec, InstanceStats, Listener, LogQuery, ObservedInstance, RuntimeDriver } from '../driver'
import { endedAtOnce } from '../last-words'
import { listenersOfNamespace } from '../listeners'
import { heapExhausted } from '../log-text'
import type { RuntimeLogger } from '../logger'
import { assertId, assertOwner, labelPrefix, ownerOfLabels, roleLabel } from '../owner'
import { KeyedMutex, mapConcurrent } from '../pool'
import { containerOptions, observe, type WritableSizes } from './container'
import { asAppError, Engine, engineMessage, engineStatus } from './engine'
import { Firewall } from './firewall'
import { linesAfter, readLines, sinceOf } from './log-lines'
import { ProjectNetworks } from './network'
import { keptLines, SavedLogs } from './saved-logs'

export interface DockerDriverOptions extends WritableSizes {
  installationId: string
  home: string
  /** Address of the engine: a path, unix:// or tcp://. */
  host: string
  /** Private destinations that apps and builds may reach. */
  reach?: readonly Reach[]
  logger: RuntimeLogger
}

const quickMs = 10_000
const slowMs = 60_000
const healthMs = 2_000
const maxGraceMs = 600_000

interface Known {
  observed: ObservedInstance
  cgroup?: Cgroup | null
}

/** Runs instances as hardened containers of a Docker engine. */
export class DockerDriver implements RuntimeDriver {
  readonly kind = 'docker'
  private readonly engine: Engine
  private readonly networks: ProjectNetworks
  private readonly firewall: Firewall
  private readonly saved: SavedLogs
  private readonly mutex = new KeyedMutex()
  private readonly starting = new Set<string>()
  private readonly closing = new AbortController()
  /** Start and end of containers, by container id. A container runs only once, so these never change. */
  private readonly known = new Map<string, Known>()

  constructor(private readonly options: DockerDriverOptions) {
    this.engine = new Engine(options.host)
    this.firewall = new Firewall(options.reach ?? [])
    this.networks = new ProjectNetworks(this.engine, assertId('installationId', options.installationId))
    this.saved = new SavedLogs(options.home)
  }

  async start(spec: InstanceSpec, signal?: AbortSignal): Promise<ObservedInstance> {
    const { owner, artifact } = spec
    assertOwner(owner)
    if (artifact.kind !== 'image')
      throw new AppError('ERR_START', 'This artifact was built for the process runtime and cannot run in a container', {
        nextAction: 'Deploy again, so that an image is built.',
      })
    this.starting.add(owner.instanceId)
    try {
      return await this.mutex.run(owner.instanceId, async () => {
        const existing = await this.inspectContainer(owner.instanceId)
        if (existing && existing.State.Status !== 'created') return this.seen(existing)
        // A start was interrupted between creating and starting the container.
        if (existing) await this.remove(existing.Id)
        await this.firewall.ensure()
        return await this.networks.use(owner, (network) => this.launch(spec, network, signal))
      })
    } finally {
      this.starting.delete(owner.instanceId)
    }
  }

  private async launch(spec: InstanceSpec, network: string, signal?: AbortSignal): Promise<ObservedInstance> {
    const options = containerOptions(spec, network, await this.engine.cores(), this.options)
    try {
      const container = await this.engine.call(
        'create a container',
        slowMs,
        (docker, abortSignal) => docker.createContainer({ ...options, abortSignal }),
        signal,
      )
      await this.engine.call('start a container', slowMs, (_, abortSignal) => container.start({ abortSignal }), signal)
      const observed = await this.seen(await this.engine.call('look at a container', quickMs, () => container.inspect()))
      if (observed.state === 'exited') throw await endedAtOnce(observed.exit, this.containerLines(container.id, { tail: 200 }), spec.env)
      return observed
    } catch (error) {
      await this.remove(options.name as string).catch((left) =>
        this.options.logger.warn({ err: left, container: options.name }, 'a container whose start failed could not be removed yet'),
      )
      throw startError(error)
    }
  }

  async list(): Promise<ObservedInstance[]> {
    await this.firewall.ensure()
    const containers = await this.listContainers([])
    const gone = new Set(this.known.keys())
    const observed = await mapConcurrent(containers, 8, async (listed) => {
      gone.delete(listed.Id)
      const known = this.known.get(listed.Id)?.observed
      const state = listed.State === 'paused' ? 'sleeping' : listed.State === 'running' ? 'running' : 'exited'
      // Read the address each time: a container that was restarted by hand has a new one.
      const ip = Object.values(listed.NetworkSettings?.Networks ?? {})[0]?.IPAddress || undefined
      if (known && known.state === state && known.address?.host === ip) return known
      const container = await this.engine.find('look at a container', quickMs, (docker) => docker.getContainer(listed.Id).inspect())
      return container && (await this.observe(container))
    })
    for (const id of gone) this.known.delete(id)
    // Omit containers that are being created: they are neither running nor stopped.
    return observed.filter((one) => one !== null).filter((one) => one.startedAt !== null || !this.starting.has(one.owner.instanceId))
  }

  async inspect(instanceId: string): Promise<ObservedInstance | null> {
    const container = await this.inspectContainer(instanceId)
    return container && (await this.observe(container))
  }

  async untilExit(instanceId: string, signal: AbortSignal): Promise<void> {
    const container = await this.inspectContainer(instanceId)
    if (!container) return
    // No deadline: an instance may run for months, and `signal` ends the wait.
    const ended = (await this.engine.docker.getContainer(container.Id).wait({ condition: 'not-running', abortSignal: signal })) as {
      StatusCode?: number
    } | null
    // A response that breaks off says nothing about the container.
    if (typeof ended?.StatusCode !== 'number') throw new AppError('ERR_UNAVAILABLE', 'The Docker engine ended the wait for a container')
  }

  async stats(instanceId: string): Promise<InstanceStats> {
    const container = await this.inspectContainer(instanceId)
    if (!container) throw notFound(instanceId)
    if (!container.State.Running) throw new AppError('ERR_CONFLICT', `The instance ${instanceId} does not run: there is nothing to measure`)
    const limit = container.HostConfig.Memory || Number.POSITIVE_INFINITY
    const fast = this.engine.local ? await this.readKernel(container, limit) : null
    return fast ?? (await this.readEngine(container.Id, limit))
  }

  async listeners(instanceId: string): Promise<Listener[] | null> {
    const container = await this.inspectContainer(instanceId)
    if (!container?.State.Running || !this.engine.local) return null
    // If the engine runs in a virtual machine, its process ids are meaningless here: the result is unknown.
    if ((await cgroupOfProcess(container.State.Pid).catch(() => null)) === null) return null
    return listenersOfNamespace(container.State.Pid)
  }

  /** null: the kernel's files are not accessible (the engine runs on another machine or in a VM). */
  private async readKernel(container: Docker.ContainerInspectInfo, limit: number): Promise<InstanceStats | null> {
    try {
      const known = this.known.get(container.Id)
      const cgroup = known?.cgroup ?? (await cgroupOfProcess(container.State.Pid))
      if (known) known.cgroup = cgroup
      return cgroup && (await readCgroupStats(cgroup, limit))
    } catch {
      return null
    }
  }

  private async readEngine(containerId: string, limit: number): Promise<InstanceStats> {
    const stats = await this.engine
      .call('statistics', quickMs, (docker) => docker.getContainer(containerId).stats({ stream: false, 'one-shot': true }))
      .catch((error) => {
        throw asAppError('statistics', error)
      })
    const memory = stats.memory_stats
    // A container that ended after it was inspected has empty statistics instead of an error.
    if (!Number.isFinite(memory?.usage))
      throw new AppError('ERR_CONFLICT', `The instance of container ${containerId.slice(0, 12)} has just ended: there is nothing to measure`)
    const cache = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0
    return {
      cpuSeconds: stats.cpu_stats.cpu_usage.total_usage / 1e9,
      memoryBytes: Math.max(0, memory.usage - cache),
      memoryLimitBytes: Math.min(memory.limit, limit),
      pids: stats.pids_stats?.current ?? 0,
      at: new Date(),
    }
  }

  stop(instanceId: string, graceMs: number): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const container = await this.inspectContainer(instanceId)
      if (!container) return
      if (container.State.Paused) await this.thaw(container.Id)
      if (container.State.Running) await this.end(container, Math.min(Math.max(0, graceMs), maxGraceMs))
      // Save the end of the log before the container and its log are removed.
      await this.saved
        .save(instanceId, this.containerLines(container.Id, { tail: keptLines }))
        .catch((error) => this.options.logger.warn({ err: error, instanceId }, 'the log of a stopped instance could not be kept'))
      await this.remove(container.Id)
    })
  }

  /** Sends SIGTERM (or the stop signal of the image), then SIGKILL. All processes of the container end with its process namespace. */
  private async end(container: Docker.ContainerInspectInfo, graceMs: number): Promise<void> {
    const kill = (signal: string) =>
      this.engine.find('end a container', quickMs, (docker) => docker.getContainer(container.Id).kill({ signal })).catch(ignoreNotRunning)
    const over = (ms: number) =>
      this.engine
        .find('wait for a container', ms, (docker, abortSignal) => docker.getContainer(container.Id).wait({ condition: 'not-running', abortSignal }))
        .then(() => true)
        .catch((error) => {
          if (isAppError(error) && error.code === 'ERR_DEADLINE') return false
          throw error
        })
    const stopSignal = (container.Config as { StopSignal?: string }).StopSignal || 'SIGTERM'
    if (graceMs > 0) {
      await kill(stopSignal)
      if (await over(graceMs)) return
    }
    await kill('SIGKILL')
    if (!(await over(slowMs))) throw new AppError('ERR_DEADLINE', 'The Docker engine did not end a container that it was told to kill')
  }

  async forget(instanceId: string): Promise<void> {
    await this.saved.forget(assertId('instanceId', instanceId))
  }

  sleep(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const container = await this.inspectContainer(instanceId)
      if (!container) throw notFound(instanceId)
      if (container.State.Paused) return
      if (!container.State.Running) throw new AppError('ERR_CONFLICT', `The instance ${instanceId} does not run and cannot be put to sleep`)
      await this.engine
        .call('pause a container', quickMs, (docker) => docker.getContainer(container.Id).pause())
        .catch((error) => {
          throw asAppError('pause a container', error)
        })
    })
  }

  wake(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const container = await this.inspectContainer(instanceId)
      if (!container) throw notFound(instanceId)
      if (container.State.Paused) await this.thaw(container.Id)
      else if (!container.State.Running) throw new AppError('ERR_CONFLICT', `The instance ${instanceId} has ended and cannot be woken`)
    })
  }

  private async thaw(containerId: string): Promise<void> {
    await this.engine.find('unpause a container', quickMs, (docker) => docker.getContainer(containerId).unpause())
  }

  async *logs(instanceId: string, query: LogQuery = {}): AsyncIterable<InstanceLogLine> {
    const container = await this.inspectContainer(instanceId)
    if (container) return yield* this.containerLines(container.Id, query)
    if (!(await this.saved.has(instanceId))) throw notFound(instanceId)
    const all: InstanceLogLine[] = []
    for await (const line of linesAfter(this.saved.read(instanceId), query.after)) all.push(line)
    yield* query.tail === undefined || query.after !== undefined ? all : all.slice(Math.max(0, all.length - query.tail))
  }

  private async *containerLines(containerId: string, query: LogQuery): AsyncIterable<InstanceLogLine> {
    const signals = [this.closing.signal, ...(query.signal ? [query.signal] : [])]
    const signal = AbortSignal.any(signals)
    const options = {
      stdout: true,
      stderr: true,
      timestamps: true,
      ...(query.after ? { since: sinceOf(query.after) } : query.tail === undefined ? {} : { tail: query.tail }),
    }
    try {
      if (!query.follow) {
        // The log has at most two files of 10 MB, see containerOptions.
        const whole = await this.engine.call('read a log', slowMs, (docker, abortSignal) =>
          docker.getContainer(containerId).logs({ ...options, follow: false as const, abortSignal }),
        )
        return yield* linesAfter(readLines(toChunks(whole)), query.after)
      }
      const stream = await this.engine.call(
        'follow a log',
        quickMs,
        async (docker) => (await docker.getContainer(containerId).logs({ ...options, follow: true as const })) as unknown as LogStream,
      )
      const close = () => stream.destroy()
      signal.addEventListener('abort', close, { once: true })
      if (signal.aborted) close()
      try {
        yield* linesAfter(readLines(stream), query.after)
      } finally {
        signal.removeEventListener('abort', close)
        stream.destroy()
      }
    } catch (error) {
      if (signal.aborted) return
      throw asAppError('read a log', error)
    }
  }

  async removeProject(projectId: string): Promise<void> {
    assertId('projectId', projectId)
    const left = await this.listContainers([`${labelPrefix}projectId=${projectId}`])
    if (left.length > 0) throw new AppError('ERR_CONFLICT', `The project still has ${left.length} instances`, { nextAction: 'Stop them first.' })
    await this.networks.remove(projectId)
  }

  async health(): ReturnType<RuntimeDriver['health']> {
    try {
      const version = await this.engine.call('its version', healthMs, (docker) => docker.version())
      const firewall = await this.firewall.ensure()
      const weakness = firewall.ok ? null : firewall.reason
      return { ok: true, detail: [`Docker Engine ${version.Version}`, ...(weakness ? [weakness] : [])].join('; '), weakness }
    } catch (error) {
      return { ok: false, reason: isAppError(error) ? error.message : engineMessage(error) }
    }
  }

  async close(): Promise<void> {
    this.closing.abort()
  }

  private async inspectContainer(instanceId: string): Promise<Docker.ContainerInspectInfo | null> {
    assertId('instanceId', instanceId)
    const listed = (await this.listContainers([`${labelPrefix}instanceId=${instanceId}`]))[0]
    return listed ? await this.engine.find('look at a container', quickMs, (docker) => docker.getContainer(listed.Id).inspect()) : null
  }

  private listContainers(labels: string[]): Promise<Docker.ContainerInfo[]> {
    const label = [`${labelPrefix}installationId=${this.options.installationId}`, `${roleLabel}=instance`, ...labels]
    return this.engine
      .call('list containers', quickMs, (docker, abortSignal) => docker.listContainers({ all: true, filters: { label }, abortSignal }))
      .catch((error) => {
        throw asAppError('list containers', error)
      })
  }

  private async seen(container: Docker.ContainerInspectInfo): Promise<ObservedInstance> {
    const observed = await this.observe(container)
    if (!observed) throw new AppError('ERR_CONFLICT', `The container ${container.Name} has our name, but not our labels`)
    return observed
  }

  private async observe(container: Docker.ContainerInspectInfo): Promise<ObservedInstance | null> {
    if (!ownerOfLabels(container.Config.Labels ?? {})) return null
    // V8 aborts (134) when its heap is full. The kernel does not count that as out of memory, but we report it as such.
    const aborted = !container.State.Running && container.State.ExitCode === 134
    const observed = observe(container, aborted && (await this.lastWordsMention(container.Id, heapExhausted)))
    if (observed) this.known.set(container.Id, { ...this.known.get(container.Id), observed })
    return observed
  }

  private async lastWordsMention(containerId: string, pattern: RegExp): Promise<boolean> {
    for await (const line of this.containerLines(containerId, { tail: 100 })) if (pattern.test(line.text)) return true
    return false
  }

  private async remove(container: string): Promise<void> {
    try {
      await this.engine.find('remove a container', slowMs, (docker) => docker.getContainer(container).remove({ force: true, v: true }))
    } catch (error) {
      // 409: an earlier call is removing the container already.
      if (!(isAppError(error) && engineStatus(error.cause) === 409)) throw error
    }
  }
}

type LogStream = AsyncIterable<Uint8Array> & { destroy(): void }

async function* toChunks(whole: Uint8Array): AsyncIterable<Uint8Array> {
  yield whole
}

function ignoreNotRunning(error: unknown): void {
  // 409: the container ended in the meantime.
  if (!(isAppError(error) && engineStatus(error.cause) === 409)) throw error
}

function notFound(instanceId: string): AppError {
  return new AppError('ERR_NOT_FOUND', `There is no instance ${instanceId}`)
}

function startError(error: unknown): AppError {
  if (isAppError(error)) return error
  const status = engineStatus(error)
  const message = engineMessage(error)
  if (status === 404 && /no such image/i.test(message))
    return new AppError('ERR_START', 'The image of this release is no longer in the Docker engine', {
      cause: error,
      nextAction: 'Deploy again: the image is built anew.',
    })
  return new AppError('ERR_START', `The container could not be started: ${message}`, {
    cause: error,
    nextAction: /exec|executable|permission/i.test(message)
      ? 'Check the start command: it must exist in the image and be executable.'
      : 'Look at the engine’s log (journalctl -u docker), then retry.',
  })
}
