import { chmod, mkdir, rm } from 'node:fs/promises'
import net from 'node:net'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '@/shared/errors'
import type { ControlMessage } from '@/shared/link'
import { encodeFrame, FrameReader } from '@/shared/node/frames'
import type { EncodedTable } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'
import { LinkMessages, type Peer } from './link-messages'
import { encodeTable, TableFeed } from './table-feed'

/** The largest messages of routers are traffic reports, which routers split below this size. */
const maxFrameBytes = 16 * 1024 * 1024
/** Unsent bytes for a worker that does not read: beyond this limit its connection is closed, and the worker reconnects. */
const maxBacklogBytes = 1024 * 1024 * 1024

const routerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    workerId: z.number().int().min(0),
    pid: z.number().int(),
    version: z.number(),
    listening: z.boolean(),
  }),
  z.object({ type: z.literal('ack'), version: z.number() }),
  z.object({ type: z.literal('nack'), version: z.number(), reason: z.string() }),
  z.object({ type: z.literal('in-flight'), requestId: z.number(), counts: z.record(z.string(), z.number()) }),
  z.object({ type: z.literal('state-ack'), kind: z.string(), revision: z.number(), problem: z.string().optional() }),
  z.object({ type: z.literal('command-answer'), requestId: z.number(), answer: z.unknown().optional(), problem: z.string().optional() }),
  z.object({ type: z.literal('ask'), kind: z.string(), requestId: z.number(), ask: z.unknown() }),
  z.object({ type: z.literal('report'), kind: z.string(), report: z.unknown() }),
])

const knownKinds = new Set<string>(routerMessage.options.map((option) => option.shape.type.value))
const newerKind = z.object({ type: z.string().refine((type) => !knownKinds.has(type)) })

export interface LinkHubOptions {
  socketPath: string
  /** Number of workers that must serve a table before it counts as published: ids 0 … n-1. */
  expectedWorkers: number
  log?: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

export interface RouterWorkerStatus {
  workerId: number
  pid: number
  /** Version this worker serves. */
  version: number
  /** False while the worker drains: it accepts no new connections but may have open requests. */
  listening: boolean
}

export interface LinkStatus {
  /** Version of the newest table published, or null before the first. */
  version: number | null
  expectedWorkers: number
  workers: RouterWorkerStatus[]
}

interface Worker {
  socket: net.Socket
  /** Undefined until the worker has sent `hello`. */
  status: RouterWorkerStatus | undefined
  /**
   * Newest version acknowledged on this connection. The version in `hello` does not count: it may come from another database, before a restore.
   */
  acknowledged: number
  refused: { version: number; reason: string } | undefined
  /** Created at `hello`. */
  tables: TableFeed | undefined
  /** Added to the link messages at `hello`. */
  peer: Peer
}

interface Waiter {
  version: number
  settle: (error?: AppError) => void
}

interface Poll {
  waiting: Set<Worker>
  counts: Record<string, number>
  done: () => void
}

/**
 * The control plane's end of the link. It keeps the newest table, sends it to every router that connects, and records which version each
 * worker serves. Routers serve requests without it.
 */
export class LinkHub {
  readonly #options: LinkHubOptions
  readonly #workers = new Set<Worker>()
  readonly #waiters = new Set<Waiter>()
  readonly #polls = new Map<number, Poll>()
  /** States, commands, queries, reports. */
  readonly messages: LinkMessages
  #server: net.Server | undefined
  #newest: EncodedTable | undefined
  /** Version of the newest table passed to `publish`; its encoding may be unfinished. */
  #proposed = -1
  #encoding: Promise<unknown> = Promise.resolve()
  #nextPoll = 1

  constructor(options: LinkHubOptions) {
    this.#options = options
    this.messages = new LinkMessages(options.log)
  }

  /** Listens on the socket, accessible to this user only. @throws AppError ERR_CONFLICT when another control plane listens on it. */
  async start(): Promise<void> {
    const { socketPath } = this.#options
    await mkdir(path.dirname(socketPath), { recursive: true, mode: 0o700 })
    if (await isAnswered(socketPath))
      throw new AppError('ERR_CONFLICT', `another control plane is running: it answers on ${socketPath}`, {
        nextAction: 'Stop it first, or give this one another SWITCHYARD_HOME.',
      })
    await rm(socketPath, { force: true })
    const server = net.createServer((socket) => this.#onConnection(socket))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socketPath, resolve)
    })
    await chmod(socketPath, 0o600)
  }

  /**
   * Sends `table` to every worker and resolves when each expected worker and every other listening worker serves it. A worker that
   * restarts meanwhile receives the newest table and counts once it acknowledges. After a failure the table stays the newest: publish
   * another table to replace it. A call that waits for an older table resolves when a newer table is acknowledged.
   * @throws AppError ERR_CUTOVER at the deadline, with the workers that do not serve the table; at once when a worker refuses the table, or
   * when the table exceeds the size limit of the link. Such a table is not sent: routers would close the connection and reconnect endlessly.
   */
  publish(table: RouteTable, { deadlineMs }: { deadlineMs: number }): Promise<{ acknowledged: number }> {
    const { version } = table
    if (version < this.#proposed)
      return Promise.reject(new AppError('ERR_CUTOVER', `route table ${version} is older than ${this.#proposed}, which was published already`))
    this.#proposed = version
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        version,
        settle: (error) => {
          clearTimeout(timer)
          this.#waiters.delete(waiter)
          if (error) reject(error)
          else resolve({ acknowledged: this.#serving(version).length })
        },
      }
      const timer = setTimeout(() => waiter.settle(this.#cutoverError(version, deadlineMs)), deadlineMs)
      this.#waiters.add(waiter)
      this.#encoding = this.#encoding.then(() => this.#spread(table)).catch((error) => waiter.settle(error))
    })
  }

  async #spread(table: RouteTable): Promise<void> {
    this.#newest = await encodeTable(table)
    for (const worker of this.#workers) worker.tables?.give(this.#newest)
    this.#settleWaiters()
  }

  /**
   * Open requests and upgraded connections per instance, summed over all connected workers, including draining workers.
   * @throws AppError ERR_DEADLINE when a connected worker does not answer in time: its count is unknown, not zero.
   */
  inFlight(instanceIds: string[], { deadlineMs }: { deadlineMs: number }): Promise<Record<string, number>> {
    const requestId = this.#nextPoll++
    const asked = [...this.#workers].filter((worker) => worker.status)
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer)
        this.#polls.delete(requestId)
      }
      const poll: Poll = {
        waiting: new Set(asked),
        counts: Object.fromEntries(instanceIds.map((id) => [id, 0])),
        done: () => {
          finish()
          resolve(poll.counts)
        },
      }
      const timer = setTimeout(() => {
        finish()
        const silent = [...poll.waiting].map(nameOf).join(', ')
        reject(new AppError('ERR_DEADLINE', `router ${silent} did not say within ${deadlineMs} ms what it has open`))
      }, deadlineMs)
      this.#polls.set(requestId, poll)
      for (const worker of asked) this.#send(worker, encodeFrame({ type: 'in-flight', requestId, instanceIds } satisfies ControlMessage))
      if (asked.length === 0) poll.done()
    })
  }

  status(): LinkStatus {
    const workers = [...this.#workers].flatMap(({ status }) => (status ? [{ ...status }] : []))
    return { version: this.#newest?.head.version ?? null, expectedWorkers: this.#options.expectedWorkers, workers }
  }

  /** Closes the socket. The routers keep serving their last table. */
  async close(): Promise<void> {
    for (const waiter of [...this.#waiters]) waiter.settle(new AppError('ERR_INTERRUPTED', 'the control plane is stopping'))
    for (const worker of this.#workers) worker.socket.destroy()
    const server = this.#server
    this.#server = undefined
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #onConnection(socket: net.Socket): void {
    const worker = this.#createWorker(socket)
    this.#workers.add(worker)
    const reader = new FrameReader(maxFrameBytes, (frame) => this.#onMessage(worker, frame))
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        this.#options.log?.warn({ err: error, worker: worker.status }, 'unreadable message from a router: connection closed')
        socket.destroy()
      }
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => this.#onGone(worker))
  }

  #createWorker(socket: net.Socket): Worker {
    const send = (message: ControlMessage) => this.#send(worker, encodeFrame(message))
    const peer: Peer = {
      send,
      get name() {
        return nameOf(worker)
      },
      get listening() {
        return worker.status?.listening ?? false
      },
    }
    const worker: Worker = { socket, status: undefined, acknowledged: -1, refused: undefined, tables: undefined, peer }
    return worker
  }

  #onGone(worker: Worker): void {
    this.#workers.delete(worker)
    this.messages.remove(worker.peer)
    if (worker.status) this.#options.log?.warn({ worker: worker.status }, 'a router worker disconnected')
    for (const poll of [...this.#polls.values()]) if (poll.waiting.delete(worker) && poll.waiting.size === 0) poll.done()
    this.#settleWaiters()
  }

  #onMessage(worker: Worker, frame: unknown) {
    // During an update routers may be newer than this process: ignore unknown message types instead of closing the connection.
    const kind = newerKind.safeParse(frame)
    if (kind.success)
      return this.#options.log?.warn({ kind: kind.data.type, worker: worker.status }, 'message of an unknown kind from a router ignored')
    const message = routerMessage.parse(frame)
    if (message.type === 'hello') return this.#onHello(worker, message)
    if (message.type === 'in-flight') return this.#onCounts(worker, message.requestId, message.counts)
    if (message.type === 'ack') {
      worker.acknowledged = message.version
      if (worker.status) worker.status.version = message.version
      worker.refused = undefined
      return this.#settleWaiters()
    }
    if (message.type !== 'nack') return this.messages.handle(worker.peer, message as Parameters<LinkMessages['handle']>[1])
    worker.refused = { version: message.version, reason: message.reason }
    for (const waiter of [...this.#waiters]) if (waiter.version === message.version) waiter.settle(this.#refusedError(worker))
  }

  #onHello(worker: Worker, { workerId, pid, version, listening }: RouterWorkerStatus): void {
    const isNew = worker.status === undefined
    worker.status = { workerId, pid, version, listening }
    this.#options.log?.info({ worker: worker.status }, isNew ? 'a router worker connected' : 'a router worker changed state')
    // Send the table even at the same version: only the acknowledgement proves that the worker serves this table.
    if (isNew) {
      worker.tables = new TableFeed(worker.socket)
      if (this.#newest) worker.tables.give(this.#newest)
      this.messages.add(worker.peer)
    }
    this.#settleWaiters()
  }

  #onCounts(worker: Worker, requestId: number, counts: Record<string, number>): void {
    const poll = this.#polls.get(requestId)
    if (!poll?.waiting.delete(worker)) return
    for (const [id, count] of Object.entries(counts)) if (id in poll.counts) poll.counts[id] = (poll.counts[id] ?? 0) + count
    if (poll.waiting.size === 0) poll.done()
  }

  #send(worker: Worker, frame: string): void {
    if (worker.socket.writableLength > maxBacklogBytes) worker.socket.destroy()
    else if (worker.socket.writable) worker.socket.write(frame)
  }

  #accepting(): Worker[] {
    return [...this.#workers].filter((worker) => worker.status?.listening)
  }

  #serving(version: number): Worker[] {
    return this.#accepting().filter((worker) => worker.acknowledged >= version)
  }

  /** Names of the workers that do not serve `version` yet. */
  #missing(version: number): string[] {
    const accepting = this.#accepting()
    const behind = accepting.filter((worker) => worker.acknowledged < version).map(nameOf)
    const present = new Set(accepting.map((worker) => worker.status?.workerId))
    const absent = Array.from({ length: this.#options.expectedWorkers }, (_, id) => id).filter((id) => !present.has(id))
    return [...behind, ...absent.map((id) => `${id} (not connected)`)]
  }

  #settleWaiters(): void {
    for (const waiter of [...this.#waiters]) if (this.#missing(waiter.version).length === 0) waiter.settle()
  }

  #cutoverError(version: number, deadlineMs: number): AppError {
    return new AppError(
      'ERR_CUTOVER',
      `router worker ${this.#missing(version).join(', ')} did not take over route table ${version} within ${deadlineMs} ms`,
      {
        step: 'cutover',
        stillServing: 'Traffic stays with what was live before on these workers.',
        nextAction: 'Check that the router workers are running, then deploy again.',
      },
    )
  }

  #refusedError(worker: Worker): AppError {
    const { version, reason } = worker.refused ?? { version: 0, reason: 'no reason given' }
    return new AppError('ERR_CUTOVER', `router worker ${nameOf(worker)} refused route table ${version}: ${reason}`, {
      step: 'cutover',
      stillServing: 'The router keeps the route table it had.',
      nextAction: 'Correct the route that is named, or report this as a fault of Switchyard.',
    })
  }
}

function nameOf(worker: Worker): string {
  return worker.status ? `${worker.status.workerId} (pid ${worker.status.pid})` : 'without a name'
}

/** Whether a process listens on the socket; without a listener the file is left over from an earlier process. */
function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath)
    const settle = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(1_000, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}
