import { access, mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError } from '@/shared/errors'
import { assertConfinement, mountProblem, type PrivateMounts } from '@/shared/node/confined'
import { baseEnv } from '@/shared/node/exec'
import { installNode, nodeBin } from '@/shared/node/install-node'
import type { FirewallState } from '@/shared/node/iptables'
import type { Reach } from '@/shared/node/reach'
import { projectUsers, UserFirewall } from '@/shared/node/user-firewall'
import { type Artifact, cacheDirectory, defaultCacheBytes, defaultScratchBytes } from '@/shared/release'
import type { BlobStore } from '@/storage/blob-store'
import { cgroupMounts } from '../cgroup'
import type { InstanceLogLine, InstanceSpec, InstanceStats, Listener, LogQuery, ObservedInstance, RuntimeDriver } from '../driver'
import { instanceEnvironment } from '../environment'
import { listenersOfProcesses } from '../listeners'
import type { RuntimeLogger } from '../logger'
import { assertId, assertOwner } from '../owner'
import { KeyedMutex } from '../pool'
import { type DiskUser, DiskWatch } from './disk-watch'
import { createCgroup, removeCgroup } from './groups'
import { assertCommand, type Gated, makeScratch, startGated } from './launch'
import { hasCode, isRoot, layout } from './layout'
import { InstanceLog, type LogReader } from './log-files'
import { endInstance, endStrays, instanceVariable, membersOf, sleepMembers, wakeMembers } from './members'
import { type OwnChild, observeRecord, readStats } from './observe'
import { OutputWatch } from './output-watch'
import { Ports } from './ports'
import { signal as sendSignal, statOf } from './proc'
import { type InstanceRecord, type KnownRecords, listRecords, readRecord, writeRecord } from './record'
import { type Release, Releases } from './releases'
import { sweepGroups, sweepRemains } from './sweep'
import { openPath } from './tools'
import { claimedUids } from './users'

export interface ProcessDriverOptions {
  installationId: string
  home: string
  storage: BlobStore
  /** Node binary of the platform. Apps run on the version that they were built with. */
  nodeBinary: string
  /** Version of `nodeBinary`, for directory names. Default: the version of this process. */
  nodeVersion?: string
  /** Installs exactly this version of Node and returns its directory. */
  fetchNode?: (version: string) => Promise<string>
  /** Additional directories for the PATH of apps. */
  toolPaths?: string[]
  /** Maximum bytes that an instance may write to `/tmp`, its HOME and `/dev/shm` together; they count as its memory. null: half of its memory. */
  scratchBytes?: number | null
  /** Maximum bytes of an instance's framework cache; they count as its memory. */
  cacheBytes?: number
  /** Private destinations that apps may reach. */
  reach?: readonly Reach[]
  logger: RuntimeLogger
}

/** Starts within this time share one check of the firewall. */
const startFreshMs = 2_000
/** Interval for polling the exit of a process; a check costs 0.1 ms. */
const exitPollMs = 50
const host = '127.0.0.1'

/** Runs instances as detached processes: they survive the control process, and the next control process adopts them. */
export class ProcessDriver implements RuntimeDriver {
  readonly kind = 'process'
  private readonly paths: ReturnType<typeof layout>
  private readonly ports: Ports
  private readonly mutex = new KeyedMutex()
  private readonly releases: Releases
  private readonly logFiles = new Map<string, InstanceLog>()
  /** Children of this process: the kernel reports the exit code of children only. */
  private readonly children = new Map<string, OwnChild>()
  private readonly firewall: UserFirewall
  private readonly closing = new AbortController()
  private readonly output: OutputWatch
  private readonly known: KnownRecords = new Map()
  private nodeDirectory = ''
  /** Why instances share `/tmp` and `/dev/shm`; null: each has its own. */
  private sharedBecause: string | null = null
  /** Bounds what instances write when they have no file systems of their own. */
  private diskWatch: DiskWatch | null = null

  private constructor(private readonly options: ProcessDriverOptions) {
    this.paths = layout(options.home)
    this.releases = new Releases(this.paths, options.storage)
    this.firewall = firewallOfApps(options.installationId, options.reach ?? [])
    this.ports = new Ports(this.paths, async (instanceId) => {
      const record = await readRecord(this.paths, instanceId)
      return record !== null && record.stoppedAt === null
    })
    // Timestamps lines and rotates logs, with or without readers.
    this.output = new OutputWatch(
      (instanceId) => this.logOf(instanceId).tick(),
      (error) => this.options.logger.warn({ err: error }, 'the log of an app could not be looked after'),
    )
  }

  static async create(options: ProcessDriverOptions): Promise<ProcessDriver> {
    assertId('installationId', options.installationId)
    await assertConfinement()
    await openPath(options.home)
    const driver = new ProcessDriver(options)
    driver.sharedBecause = isRoot() ? await tryMounts(driver.paths.probe, options.home) : 'only root can give each app its own'
    if (driver.sharedBecause) driver.diskWatch = driver.watchDisk()
    driver.nodeDirectory = await installNode(options.home, options.nodeBinary, options.nodeVersion ?? process.versions.node)
    await sweepRemains(driver.paths)
    await driver.sweepGroups()
    await driver.ports.sweep()
    for (const uid of await claimedUids(driver.paths)) await endStrays(driver.paths, options.installationId, uid)
    await driver.records()
    return driver
  }

  async start(spec: InstanceSpec, signal?: AbortSignal): Promise<ObservedInstance> {
    assertOwner(spec.owner)
    if (spec.artifact.kind !== 'bundle')
      throw new AppError('ERR_START', 'This artifact is a container image and cannot run in the process runtime', {
        nextAction: 'Deploy again, so that a bundle is built, or switch to the docker runtime.',
      })
    return this.mutex.run(spec.owner.instanceId, async () => {
      const existing = await readRecord(this.paths, spec.owner.instanceId)
      if (existing && existing.stoppedAt === null) return this.observe(existing)
      if (existing) throw new AppError('ERR_CONFLICT', `The instance ${spec.owner.instanceId} was started and stopped before`)
      return this.launch(spec, signal)
    })
  }

  private async launch(spec: InstanceSpec, signal?: AbortSignal): Promise<ObservedInstance> {
    const { owner, artifact } = spec
    // On failure of a later step, undo the completed steps in reverse order.
    const undo: (() => Promise<unknown>)[] = []
    let release: Release | undefined
    try {
      release = await this.releases.acquire(owner, artifact.digest)
      undo.push(release.drop)
      const { gated, record } = await this.prepare(spec, release, undo, signal)
      undo.push(() => endInstance(record, 0))
      await writeRecord(this.paths, record)
      throwIfCanceled(signal)
      this.watch(gated, owner.instanceId)
      this.watchOutput(record)
      await gated.open()
      await this.releases.makeCurrent(owner.projectId, release.directory)
      // Report the start itself: an app that ends at once fails its health check, which names the exit and keeps the log.
      return { owner, startedAt: new Date(record.startedAt), state: 'running', address: { host, port: record.port }, exit: null }
    } catch (error) {
      for (const step of undo.reverse())
        await step().catch((left) =>
          this.options.logger.warn({ err: left, instanceId: owner.instanceId }, 'a failed start could not be cleaned up entirely'),
        )
      this.output.remove(owner.instanceId)
      this.logFiles.delete(owner.instanceId)
      this.children.delete(owner.instanceId)
      throw startError(error)
    } finally {
      release?.done()
    }
  }

  /** Directory of the Node version of the artifact; the platform's own if the build chose none. */
  private async nodeOf(artifact: Artifact): Promise<string> {
    const version = artifact.nodeVersion
    if (!version) return this.nodeDirectory
    const there = nodeBin(this.options.home, version)
    if (await exists(path.join(there, 'node'))) return there
    const fetched = await this.options.fetchNode?.(version)
    if (fetched) return fetched
    throw new AppError('ERR_START', `This version was built on Node ${version}, which is no longer on this machine`, {
      nextAction: 'Deploy again: it is built on a Node that is here.',
    })
  }

  /** Prepares directories, port and control group, and starts a process that waits for permission to become the app. */
  private async prepare(spec: InstanceSpec, release: Release, undo: (() => Promise<unknown>)[], signal?: AbortSignal) {
    const { owner, artifact, limits } = spec
    const { directory, uid, gid } = release
    const searchPath = [await this.nodeOf(artifact), ...(this.options.toolPaths ?? []), baseEnv.PATH].join(':')
    await assertCommand(artifact.start.argv, directory, searchPath)
    undo.push(() => rm(this.paths.instance(owner.instanceId), { recursive: true, force: true }))
    await mkdir(this.paths.instance(owner.instanceId), { recursive: true, mode: 0o711 })
    const scratch = this.paths.scratch(owner.instanceId)
    await makeScratch(scratch, uid, gid)
    const port = await this.ports.reserve(owner.instanceId)
    undo.push(() => this.ports.release(port, owner.instanceId))
    const cgroup = isRoot() ? await createCgroup(`${owner.installationId}.${owner.instanceId}`, limits) : null
    if (cgroup) undo.push(() => removeCgroup(cgroup))
    await this.isolate(startFreshMs)
    throwIfCanceled(signal)
    const mounts = this.mountsOf(spec, directory)
    const env = {
      LANG: 'C.UTF-8',
      ...instanceEnvironment(spec, { host, port }),
      PATH: searchPath,
      HOME: scratch,
      TMPDIR: mounts ? '/tmp' : path.join(scratch, 'tmp'),
      [instanceVariable]: owner.instanceId,
    }
    const log = this.logOf(owner.instanceId)
    const output = await log.create(uid, gid)
    const gated = await startGated({
      argv: artifact.start.argv,
      cwd: directory,
      env,
      uid,
      gid,
      instanceId: owner.instanceId,
      limits,
      cgroup,
      mounts,
      output,
    }).finally(() => output.close())
    undo.push(async () => sendSignal(gated.identity.pid, 'SIGKILL') && (await untilGone(gated)))
    const startedAt = new Date().toISOString()
    const record: InstanceRecord = {
      version: 1,
      owner,
      process: gated.identity,
      uid,
      gid,
      port,
      releaseDirectory: directory,
      limits,
      cgroup,
      startedAt,
      exit: null,
      stoppedAt: null,
    }
    return { gated, record }
  }

  private mountsOf({ owner, limits }: InstanceSpec, releaseDirectory: string): PrivateMounts | null {
    if (this.sharedBecause) return null
    const { scratch, cache } = this.bytesFor(limits)
    return {
      home: this.options.home,
      scratch: this.paths.scratch(owner.instanceId),
      scratchBytes: scratch,
      volatile: [{ directory: path.join(releaseDirectory, cacheDirectory), sizeBytes: cache }],
      writable: [],
    }
  }

  private bytesFor(limits: InstanceSpec['limits']): { scratch: number; cache: number } {
    return { scratch: this.options.scratchBytes ?? defaultScratchBytes(limits), cache: this.options.cacheBytes ?? defaultCacheBytes }
  }

  private watchDisk(): DiskWatch {
    const usersOf = ({ owner: { instanceId }, limits, releaseDirectory }: InstanceRecord): DiskUser[] => {
      const { scratch, cache } = this.bytesFor(limits)
      return [
        { instanceId, what: 'scratch', directory: this.paths.scratch(instanceId), limitBytes: scratch },
        { instanceId, what: 'cache', directory: path.join(releaseDirectory, cacheDirectory), limitBytes: cache },
      ]
    }
    return new DiskWatch({
      home: this.options.home,
      users: async () => (await this.records()).flatMap(usersOf),
      onExceeded: (user, usedBytes) => this.mutex.run(user.instanceId, () => this.onDiskExceeded(user, usedBytes)),
      onError: (error) => this.options.logger.warn({ err: error }, 'what apps write to disk could not be measured'),
    })
  }

  /** Empties a framework cache that is too large; ends an instance that wrote more elsewhere than it may. The log of the app says so. */
  private async onDiskExceeded({ instanceId, what, directory, limitBytes }: DiskUser, usedBytes: number): Promise<void> {
    const record = await this.record(instanceId)
    if (!record || record.stoppedAt !== null || (await statOf(record.process)) === null) return
    const inMb = (bytes: number) => Math.ceil(bytes / 1024 ** 2)
    const amount = `${inMb(usedBytes)} MB of at most ${inMb(limitBytes)} MB`
    if (what === 'scratch') {
      await this.logOf(instanceId).say(
        `Switchyard ended this instance: it wrote ${amount} (APP_TMP_MB) to its HOME and $TMPDIR. Delete temporary files in the app, or raise the limit.`,
      )
      this.options.logger.warn({ instanceId, usedBytes, limitBytes }, 'an app wrote more to disk than it may and was ended')
      await endInstance(record, 0)
    } else await this.logOf(instanceId).say(`Switchyard emptied the cache of the framework: it held ${amount} (APP_CACHE_MB).`)
    for (const name of await readdir(directory).catch(() => [])) await rm(path.join(directory, name), { recursive: true, force: true })
  }

  /** Records the exit code of a child at once: adopted processes have no exit code. */
  private watch(gated: Gated, instanceId: string): void {
    const { child } = gated
    const hasEnded = child.exitCode !== null || child.signalCode !== null
    const exitOf = (code: number | null, signal: string | null) => ({ code, signal, outOfMemory: false })
    const own: OwnChild = { isRunning: !hasEnded, isAsleep: false, exit: hasEnded ? exitOf(child.exitCode, child.signalCode) : null }
    this.children.set(instanceId, own)
    child.once('exit', (code, signal) => {
      own.isRunning = false
      own.exit = exitOf(code, signal)
      this.output.ended(instanceId)
      this.mutex
        .run(instanceId, async () => {
          const record = await readRecord(this.paths, instanceId)
          if (!record || record.stoppedAt !== null) return
          await writeRecord(this.paths, { ...record, exit: own.exit })
        })
        .catch((error) => this.options.logger.warn({ err: error, instanceId }, 'the exit of an app could not be recorded'))
    })
  }

  /** Adds firewall rules for every project of the installation. */
  private async isolate(freshForMs?: number): Promise<FirewallState> {
    return this.firewall.ensure(await claimedUids(this.paths), freshForMs)
  }

  async list(): Promise<ObservedInstance[]> {
    if (isRoot()) await this.isolate()
    const observed = await Promise.all((await this.records()).map((record) => this.observe(record)))
    for (const { owner, state } of observed) if (state === 'exited') this.output.ended(owner.instanceId)
    return observed
  }

  /** Records of instances that have not been stopped; starts watching their output. */
  private async records(): Promise<InstanceRecord[]> {
    const records = (await listRecords(this.paths, this.known)).filter((record) => this.isOurs(record) && record.stoppedAt === null)
    for (const record of records) this.watchOutput(record)
    return records
  }

  private watchOutput({ owner: { instanceId }, process }: InstanceRecord): void {
    if (!this.closing.signal.aborted) this.output.add(instanceId, this.paths.logs(instanceId), this.children.has(instanceId) ? null : process)
  }

  async inspect(instanceId: string): Promise<ObservedInstance | null> {
    const record = await this.record(instanceId)
    return record && record.stoppedAt === null ? this.observe(record) : null
  }

  async untilExit(instanceId: string, signal: AbortSignal): Promise<void> {
    while (!(await this.isOver(instanceId))) await sleep(exitPollMs, undefined, { signal, ref: false })
  }

  async stats(instanceId: string): Promise<InstanceStats> {
    return readStats(await this.running(instanceId))
  }

  async listeners(instanceId: string): Promise<Listener[] | null> {
    const record = await this.record(instanceId)
    if (!record || record.stoppedAt !== null) return null
    return listenersOfProcesses((await membersOf(record)).map(({ pid }) => pid))
  }

  stop(instanceId: string, graceMs: number): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const record = await this.record(instanceId)
      if (!record || record.stoppedAt !== null) return
      await endInstance(record, graceMs)
      await this.logOf(instanceId).tick()
      await removeRemains(this.options.home, record)
      this.output.remove(instanceId)
      await endStrays(this.paths, this.options.installationId, record.uid, this.releases.starting())
      await this.releases.prune(record.owner.projectId)
      await this.sweepGroups()
    })
  }

  forget(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const record = await this.record(instanceId)
      if (record && record.stoppedAt === null) throw new AppError('ERR_CONFLICT', `The instance ${instanceId} has not been stopped`)
      await rm(this.paths.instance(instanceId), { recursive: true, force: true })
      this.logFiles.delete(instanceId)
      this.children.delete(instanceId)
      if (record) await this.releases.forget(record.owner.projectId, record.releaseDirectory)
    })
  }

  sleep(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      await sleepMembers(await this.running(instanceId))
      this.noteAsleep(instanceId, true)
    })
  }

  wake(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      await wakeMembers(await this.running(instanceId))
      this.noteAsleep(instanceId, false)
    })
  }

  private noteAsleep(instanceId: string, isAsleep: boolean): void {
    const own = this.children.get(instanceId)
    if (own) own.isAsleep = isAsleep
  }

  async *logs(instanceId: string, query: LogQuery = {}): AsyncIterable<InstanceLogLine> {
    const record = await this.record(instanceId)
    if (!record) throw notFound(instanceId)
    const reader = this.logOf(instanceId).reader(query.after)
    const over = await this.isOver(instanceId)
    if (!query.follow || over) {
      yield* this.kept(reader, query, over)
      return
    }
    const left = new AbortController()
    const signal = AbortSignal.any([left.signal, this.closing.signal, ...(query.signal ? [query.signal] : [])])
    this.watchOutput(record)
    try {
      yield* this.followed(reader, { ...query, instanceId }, signal)
    } finally {
      left.abort()
    }
  }

  private async *kept(reader: LogReader, query: LogQuery, over: boolean): AsyncIterable<InstanceLogLine> {
    if (query.tail !== undefined && query.after === undefined) {
      const kept: InstanceLogLine[] = []
      for await (const line of reader.next(over)) {
        kept.push(line)
        if (kept.length > query.tail) kept.shift()
      }
      yield* kept
    } else yield* reader.next(over)
  }

  private async *followed(
    reader: LogReader,
    { instanceId, ...query }: LogQuery & { instanceId: string },
    signal: AbortSignal,
  ): AsyncIterable<InstanceLogLine> {
    // Register before reading, so that no output is missed.
    let news = this.output.next(instanceId, signal)
    yield* this.kept(reader, query, false)
    for (let over = false; !over && !signal.aborted; ) {
      await news
      news = this.output.next(instanceId, signal)
      // Check before reading, so that the last output is read.
      over = await this.isOver(instanceId)
      for await (const line of reader.next(over)) {
        if (signal.aborted) return
        yield line
      }
    }
  }

  async removeProject(projectId: string): Promise<void> {
    const left = (await listRecords(this.paths)).filter((record) => record.owner.projectId === projectId && record.stoppedAt === null)
    if (left.length > 0) throw new AppError('ERR_CONFLICT', `The project still has ${left.length} instances`, { nextAction: 'Stop them first.' })
    await this.releases.remove(projectId)
    await this.isolate()
  }

  async health(): ReturnType<RuntimeDriver['health']> {
    try {
      await readdir(this.paths.instances)
      const mounts = isRoot() ? await cgroupMounts() : null
      const limits = mounts ? `limits by control groups v${mounts.version}` : 'limits by the heap size and rlimits only'
      const users = isRoot() ? 'a user of its own per project' : 'all apps run as your own user: they are not protected from each other'
      const files = this.sharedBecause
        ? `apps share /tmp and /dev/shm (${this.sharedBecause}); what each writes to its HOME is measured, and too much ends it`
        : '/tmp and /dev/shm of its own per instance'
      const network = await this.isolate()
      const weakness = isRoot() ? (network.ok ? null : network.reason) : notRoot
      return {
        ok: true,
        detail: [users, limits, files, weakness ?? 'nothing of this machine but its own ports is open to an app'].join('; '),
        weakness,
      }
    } catch (error) {
      return { ok: false, reason: `The home directory cannot be read: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  /** Apps and their firewall rules stay. */
  async close(): Promise<void> {
    this.closing.abort()
    this.diskWatch?.close()
    this.output.close()
    const running = (await listRecords(this.paths)).some((record) => this.isOurs(record) && record.stoppedAt === null)
    if (!running) await this.firewall.remove()
  }

  private async sweepGroups(): Promise<void> {
    await sweepGroups(this.paths, this.options.installationId, () => this.releases.starting()).catch((error) =>
      this.options.logger.warn({ err: error }, 'control groups of instances that are gone could not be removed'),
    )
  }

  private isOurs(record: InstanceRecord): boolean {
    return record.owner.installationId === this.options.installationId
  }

  private async record(instanceId: string): Promise<InstanceRecord | null> {
    const record = await readRecord(this.paths, instanceId)
    return record && this.isOurs(record) ? record : null
  }

  private async running(instanceId: string): Promise<InstanceRecord> {
    const record = await this.record(instanceId)
    if (!record || record.stoppedAt !== null) throw notFound(instanceId)
    if (!(await statOf(record.process))) throw new AppError('ERR_CONFLICT', `The instance ${instanceId} does not run any more`)
    return record
  }

  private async isOver(instanceId: string): Promise<boolean> {
    const record = await this.record(instanceId)
    if (!record || record.stoppedAt !== null) return true
    const own = this.children.get(instanceId)
    return own ? !own.isRunning : (await statOf(record.process)) === null
  }

  private observe(record: InstanceRecord): Promise<ObservedInstance> {
    const { instanceId } = record.owner
    return observeRecord(record, this.logOf(instanceId), this.children.get(instanceId) ?? null)
  }

  private logOf(instanceId: string): InstanceLog {
    const known = this.logFiles.get(instanceId)
    if (known) return known
    const log = new InstanceLog(this.paths.logs(instanceId))
    this.logFiles.set(instanceId, log)
    return log
  }
}

const notRoot = 'apps run as your own user: they reach every port of this machine, those of other projects too, and each other’s files'

/** Firewall of apps; also used by the supervisor, which removes the rules of apps that it stopped. */
export const firewallOfApps = (installationId: string, reach: readonly Reach[]): UserFirewall =>
  new UserFirewall({ name: `${installationId}/apps`, users: projectUsers, reach })

/** Tries private mounts; null: they work; otherwise the reason. */
async function tryMounts(probe: string, home: string): Promise<string | null> {
  await mkdir(probe, { recursive: true, mode: 0o700 })
  return mountProblem(probe, home)
}

/** Frees the resources of a stopped instance. The record stays until `forget`, because the logs are still readable. */
export async function removeRemains(home: string, record: InstanceRecord): Promise<void> {
  const paths = layout(home)
  const { instanceId } = record.owner
  await writeRecord(paths, { ...record, stoppedAt: new Date().toISOString() })
  await rm(path.join(paths.ports, String(record.port)), { force: true })
  await rm(paths.scratch(instanceId), { recursive: true, force: true })
}

/** Waits until the child has exited. */
async function untilGone(gated: Gated): Promise<void> {
  while (await statOf(gated.identity)) await sleep(5)
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  )

function throwIfCanceled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AppError('ERR_CANCELED', 'The start was canceled')
}

function notFound(instanceId: string): AppError {
  return new AppError('ERR_NOT_FOUND', `There is no instance ${instanceId}`)
}

function startError(error: unknown): AppError {
  if (isAppError(error)) {
    if (error.code !== 'ERR_NOT_FOUND') return error
    return new AppError('ERR_START', 'The bundle of this release is no longer in storage', {
      cause: error,
      nextAction: 'Deploy again: it is built anew.',
    })
  }
  if (hasCode(error, 'ENOSPC', 'EDQUOT'))
    return new AppError('ERR_UNAVAILABLE', 'The disk is full', { cause: error, nextAction: 'Free space under SWITCHYARD_HOME, then try again.' })
  // The message of an unexpected error may quote a variable's value, so only its code is shown.
  const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
  return new AppError('ERR_START', `The app could not be started${code}.`, {
    cause: error,
    nextAction: 'Deploy again; if it happens again, the log of the control process says why.',
  })
}
