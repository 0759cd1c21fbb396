import { mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError } from '@/shared/errors'
import { baseEnv } from '@/shared/node/exec'
import type { BlobStore } from '@/storage/blob-store'
import { cgroupMounts } from '../cgroup'
import type { InstanceLogLine, InstanceSpec, InstanceStats, LogQuery, ObservedInstance, RuntimeDriver } from '../driver'
import { instanceEnvironment } from '../environment'
import { endedAtOnce } from '../last-words'
import type { RuntimeLogger } from '../logger'
import { assertId, assertOwner } from '../owner'
import { KeyedMutex } from '../pool'
import { createCgroup, removeCgroup } from './groups'
import { assertCommand, confine, type Gated, makeScratch, startGated } from './launch'
import { hasCode, isRoot, layout } from './layout'
import { InstanceLog } from './log-files'
import { endInstance, instanceVariable, sleepMembers, wakeMembers } from './members'
import { observeRecord, readStats } from './observe'
import { Ports } from './ports'
import { signal as sendSignal, statOf } from './proc'
import { type InstanceRecord, listRecords, readRecord, writeRecord } from './record'
import { type Release, Releases } from './releases'
import { sweepRemains } from './sweep'
import { installNode, openPath } from './tools'

export interface ProcessDriverOptions {
  installationId: string
  home: string
  storage: BlobStore
  /** The Node the platform runs on; apps get the same. */
  nodeBinary: string
  /** Its version, for the directory's name. Default: this process's own. */
  nodeVersion?: string
  /** More directories for the PATH of apps. */
  toolPaths?: string[]
  logger: RuntimeLogger
}

const tickMs = 250
const followPollMs = 100
const host = '127.0.0.1'

/** Instances as processes that belong to nobody but themselves: they live on when the control process dies, and are adopted by the next. */
export class ProcessDriver implements RuntimeDriver {
  readonly kind = 'process'
  private readonly paths: ReturnType<typeof layout>
  private readonly ports: Ports
  private readonly mutex = new KeyedMutex()
  private readonly releases: Releases
  private readonly logFiles = new Map<string, InstanceLog>()
  /** Started by this very process: only of these will we hear an exit code. */
  private readonly children = new Set<string>()
  private readonly closing = new AbortController()
  private readonly timer: NodeJS.Timeout
  private nodeDirectory = ''
  private ticking = false

  private constructor(private readonly options: ProcessDriverOptions) {
    this.paths = layout(options.home)
    this.releases = new Releases(this.paths, options.storage)
    this.ports = new Ports(this.paths, async (instanceId) => {
      const record = await readRecord(this.paths, instanceId)
      return record !== null && record.stoppedAt === null
    })
    this.timer = setInterval(() => void this.tick(), tickMs)
    this.timer.unref()
  }

  static async create(options: ProcessDriverOptions): Promise<ProcessDriver> {
    assertId('installationId', options.installationId)
    await openPath(options.home)
    const driver = new ProcessDriver(options)
    driver.nodeDirectory = await installNode(options.home, options.nodeBinary, options.nodeVersion ?? process.versions.node)
    await sweepRemains(driver.paths)
    await driver.ports.sweep()
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
    // what has been made is undone in reverse when a later step fails
    const undo: (() => Promise<unknown>)[] = []
    let release: Release | undefined
    try {
      release = await this.releases.acquire(owner, artifact.digest)
      undo.push(release.drop)
      const { gated, record, log } = await this.prepare(spec, release, undo, signal)
      undo.push(() => endInstance(record, 0))
      await writeRecord(this.paths, record)
      throwIfCanceled(signal)
      this.watch(gated, owner.instanceId)
      await gated.open()
      const observed = await this.observe(record)
      if (observed.state === 'exited') throw await endedAtOnce(observed.exit, log.reader().next(true), spec.env)
      await this.releases.makeCurrent(owner.projectId, release.directory)
      return observed
    } catch (error) {
      for (const step of undo.reverse())
        await step().catch((left) =>
          this.options.logger.warn({ err: left, instanceId: owner.instanceId }, 'a failed start could not be cleaned up entirely'),
        )
      this.logFiles.delete(owner.instanceId)
      this.children.delete(owner.instanceId)
      throw startError(error)
    } finally {
      release?.done()
    }
  }

  /** Everything up to the closed gate: directories, port, control group, and a process that waits in it. */
  private async prepare(spec: InstanceSpec, release: Release, undo: (() => Promise<unknown>)[], signal?: AbortSignal) {
    const { owner, artifact, limits } = spec
    const { directory, uid, gid } = release
    const searchPath = [this.nodeDirectory, ...(this.options.toolPaths ?? []), baseEnv.PATH].join(':')
    await assertCommand(artifact.start.argv, directory, searchPath)
    undo.push(() => rm(this.paths.instance(owner.instanceId), { recursive: true, force: true }))
    await mkdir(this.paths.instance(owner.instanceId), { recursive: true, mode: 0o711 })
    const scratch = this.paths.scratch(owner.instanceId)
    await makeScratch(scratch, uid, gid)
    const port = await this.ports.reserve(owner.instanceId)
    undo.push(() => this.ports.release(port, owner.instanceId))
    const cgroup = isRoot() ? await createCgroup(`${owner.installationId}.${owner.instanceId}`, limits) : null
    if (cgroup) undo.push(() => removeCgroup(cgroup))
    throwIfCanceled(signal)
    const env = {
      LANG: 'C.UTF-8',
      ...instanceEnvironment(spec, { host, port }),
      PATH: searchPath,
      HOME: scratch,
      TMPDIR: path.join(scratch, 'tmp'),
      [instanceVariable]: owner.instanceId,
    }
    const log = this.logOf(owner.instanceId)
    const output = await log.create(uid, gid)
    const gated = await startGated({ argv: artifact.start.argv, cwd: directory, env, uid, gid, output }).finally(() => output.close())
    undo.push(async () => sendSignal(gated.identity.pid, 'SIGKILL') && (await untilGone(gated)))
    await confine(gated.identity.pid, limits, cgroup)
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
    return { gated, record, log }
  }

  /** Only our own child tells its exit code; it is written down at once. */
  private watch(gated: Gated, instanceId: string): void {
    this.children.add(instanceId)
    gated.child.once('exit', (code, signal) => {
      this.mutex
        .run(instanceId, async () => {
          const record = await readRecord(this.paths, instanceId)
          if (!record || record.stoppedAt !== null) return
          await writeRecord(this.paths, { ...record, exit: { code, signal, outOfMemory: false } })
        })
        .catch((error) => this.options.logger.warn({ err: error, instanceId }, 'the exit of an app could not be recorded'))
    })
  }

  async list(): Promise<ObservedInstance[]> {
    const records = await listRecords(this.paths)
    return Promise.all(records.filter((record) => this.isOurs(record) && record.stoppedAt === null).map((record) => this.observe(record)))
  }

  async inspect(instanceId: string): Promise<ObservedInstance | null> {
    const record = await this.record(instanceId)
    return record && record.stoppedAt === null ? this.observe(record) : null
  }

  async stats(instanceId: string): Promise<InstanceStats> {
    return readStats(await this.running(instanceId))
  }

  stop(instanceId: string, graceMs: number): Promise<void> {
    return this.mutex.run(instanceId, async () => {
      const record = await this.record(instanceId)
      if (!record || record.stoppedAt !== null) return
      await endInstance(record, graceMs)
      await this.logOf(instanceId).tick()
      await removeRemains(this.options.home, record)
      await this.releases.prune(record.owner.projectId)
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
    return this.mutex.run(instanceId, async () => sleepMembers(await this.running(instanceId)))
  }

  wake(instanceId: string): Promise<void> {
    return this.mutex.run(instanceId, async () => wakeMembers(await this.running(instanceId)))
  }

  async *logs(instanceId: string, query: LogQuery = {}): AsyncIterable<InstanceLogLine> {
    const record = await this.record(instanceId)
    if (!record) throw notFound(instanceId)
    const reader = this.logOf(instanceId).reader(query.after)
    const signal = AbortSignal.any([this.closing.signal, ...(query.signal ? [query.signal] : [])])
    let over = await this.isOver(instanceId)
    if (query.tail !== undefined && query.after === undefined) {
      const kept: InstanceLogLine[] = []
      for await (const line of reader.next(over)) {
        kept.push(line)
        if (kept.length > query.tail) kept.shift()
      }
      yield* kept
    } else yield* reader.next(over)
    while (query.follow && !over && !signal.aborted) {
      await sleep(followPollMs, undefined, { signal }).catch(() => {})
      // asked first: what is written before the end is read after it
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
  }

  async health(): Promise<{ ok: true; detail: string } | { ok: false; reason: string }> {
    try {
      await readdir(this.paths.instances)
      const mounts = isRoot() ? await cgroupMounts() : null
      const limits = mounts ? `limits by control groups v${mounts.version}` : 'limits by the heap size and rlimits only'
      const users = isRoot() ? 'a user of its own per project' : 'all apps run as your own user: they are not protected from each other'
      return { ok: true, detail: `${users}; ${limits}; ports of this machine are not isolated` }
    } catch (error) {
      return { ok: false, reason: `The home directory cannot be read: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  /** Apps live on. */
  async close(): Promise<void> {
    clearInterval(this.timer)
    this.closing.abort()
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
    return !record || record.stoppedAt !== null || (await statOf(record.process)) === null
  }

  private observe(record: InstanceRecord): Promise<ObservedInstance> {
    const { instanceId } = record.owner
    return observeRecord(record, this.logOf(instanceId), this.children.has(instanceId) ? () => readRecord(this.paths, instanceId) : null)
  }

  private logOf(instanceId: string): InstanceLog {
    const known = this.logFiles.get(instanceId)
    if (known) return known
    const log = new InstanceLog(this.paths.logs(instanceId))
    this.logFiles.set(instanceId, log)
    return log
  }

  /** Gives lines their time and cuts floods, whether anybody reads or not. */
  private async tick(): Promise<void> {
    if (this.ticking) return
    this.ticking = true
    try {
      for (const record of await listRecords(this.paths))
        if (this.isOurs(record) && record.stoppedAt === null) await this.logOf(record.owner.instanceId).tick()
    } catch (error) {
      this.options.logger.warn({ err: error }, 'logs of apps could not be looked after')
    } finally {
      this.ticking = false
    }
  }
}

/** Frees what a stopped instance held. Its record stays, marked, until `forget`: its logs are still readable. */
export async function removeRemains(home: string, record: InstanceRecord): Promise<void> {
  const paths = layout(home)
  const { instanceId } = record.owner
  await writeRecord(paths, { ...record, stoppedAt: new Date().toISOString() })
  await rm(path.join(paths.ports, String(record.port)), { force: true })
  await rm(paths.scratch(instanceId), { recursive: true, force: true })
}

/** The gate is a child of ours: it is gone when it has been reaped. */
async function untilGone(gated: Gated): Promise<void> {
  while (await statOf(gated.identity)) await sleep(5)
}

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
  // Words of an unexpected error may quote a variable's value; its code never does.
  const code = error instanceof Error && 'code' in error ? ` (${error.code})` : ''
  return new AppError('ERR_START', `The app could not be started${code}.`, {
    cause: error,
    nextAction: 'Deploy again; if it happens again, the log of the control process says why.',
  })
}
