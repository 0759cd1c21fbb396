import net from 'node:net'
import { z } from 'zod'
import { type LinkCommands, type LinkQueries, type LinkReports, type LinkStates, maxControlFrameBytes, type RouterMessage } from '@/shared/link'
import { decodeFrame, LineReader, sendFrame } from '@/shared/node/frames'
import { Slices } from '@/shared/node/slices'
import { isTablePart } from '@/shared/node/table-frames'
import type { RouterLog } from '../log'
import type { BuiltTable } from '../table/builder'
import { type ArrivedTable, TableIntake } from '../table/intake'

const firstRetryMs = 50
const lastRetryMs = 2_000
const readAtOnce = 64 * 1024

// The content of the table is validated by its receiver, so that an invalid table is answered with `nack`.
const controlMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('table-head'), head: z.looseObject({ version: z.number().catch(-1) }), parts: z.number() }),
  z.object({ type: z.literal('table-end'), version: z.number() }),
  z.object({ type: z.literal('in-flight'), requestId: z.number(), instanceIds: z.array(z.string()) }),
  z.object({ type: z.literal('state'), kind: z.string(), revision: z.number(), state: z.unknown() }),
  z.object({ type: z.literal('command'), kind: z.string(), requestId: z.number(), ask: z.unknown() }),
  z.object({ type: z.literal('ask-answer'), requestId: z.number(), answer: z.unknown().optional(), problem: z.string().optional() }),
])
type ControlFrame = z.infer<typeof controlMessage>

/** Handles messages of the control plane. Each handler validates its message, which comes from another process. */
export interface LinkHandlers {
  states: { [K in keyof LinkStates]: (state: LinkStates[K]) => void | Promise<void> }
  commands: { [K in keyof LinkCommands]: (ask: LinkCommands[K]['ask']) => Promise<LinkCommands[K]['answer']> }
}

/** A question that waits for its answer. */
interface Pending {
  resolve: (answer: unknown) => void
  reject: (error: Error) => void
}

/** Reports are dropped while more bytes than this wait in the socket: the control plane is slow or frozen, and memory is bounded. */
const maxReportBacklogBytes = 8 * 1024 * 1024

export interface ControlLinkOptions {
  socketPath: string
  workerId: number
  /** Version of the current table and whether connections are accepted; sent on every connection. */
  state: () => { version: number; listening: boolean }
  /** The current table. */
  serving: () => BuiltTable
  /** Applies a table and resolves when new requests use it. @throws when it cannot be applied; the current table stays. */
  onTable: (table: ArrivedTable) => Promise<void>
  inFlight: (instanceIds: readonly string[]) => Record<string, number>
  handlers: LinkHandlers
  log: RouterLog
}

/** One connection to the control plane and its parser state. */
interface Connection {
  socket: net.Socket
  lines: LineReader
  tables: TableIntake
}

/**
 * The worker's end of the control socket. Messages are processed in time slices, so that requests are not delayed. The link reconnects
 * forever, and nothing else in the worker waits for it.
 */
export class ControlLink {
  readonly #options: ControlLinkOptions
  #socket: net.Socket | undefined
  #timer: NodeJS.Timeout | undefined
  #retryMs = firstRetryMs
  #stopped = false
  #connectedOnce = false
  readonly #slices = new Slices()
  /** States are applied one after the other, in order of arrival. */
  #states: Promise<void> = Promise.resolve()
  #applying = false
  /** The newest complete table received while another one is being applied; older tables are skipped. */
  #nextTable: { socket: net.Socket; table: ArrivedTable } | undefined
  readonly #pending = new Map<number, Pending>()
  #nextAsk = 1

  constructor(options: ControlLinkOptions) {
    this.#options = options
  }

  start(): void {
    this.#connect()
  }

  /** Sends `hello` again after the worker's own state changed (it stopped accepting). */
  announce(): void {
    if (this.#socket && !this.#socket.connecting) this.#send(this.#hello())
  }

  /** Asks the control plane. @throws Error when it is unreachable, refuses, or does not answer before the deadline. */
  ask<K extends keyof LinkQueries>(kind: K, ask: LinkQueries[K]['ask'], deadlineMs: number): Promise<LinkQueries[K]['answer']> {
    const socket = this.#socket
    const requestId = this.#nextAsk++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(new Error(`the control plane did not answer "${kind}" within ${deadlineMs} ms`))),
        deadlineMs,
      )
      const settle = (end: () => void) => {
        clearTimeout(timer)
        if (this.#pending.delete(requestId)) end()
      }
      this.#pending.set(requestId, {
        resolve: (answer) => settle(() => resolve(answer as LinkQueries[K]['answer'])),
        reject: (error) => settle(() => reject(error)),
      })
      const sent = socket && !socket.connecting && sendFrame(socket, { type: 'ask', kind, requestId, ask } satisfies RouterMessage)
      if (!sent) settle(() => reject(new Error('the control plane is not connected')))
    })
  }

  /** Sends a report. False: the control plane is unreachable or too slow, and the report is lost. */
  report<K extends keyof LinkReports>(kind: K, report: LinkReports[K]): boolean {
    const socket = this.#socket
    if (!socket || socket.connecting || socket.writableLength > maxReportBacklogBytes) return false
    return sendFrame(socket, { type: 'report', kind, report } satisfies RouterMessage)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #connect(): void {
    const { log, socketPath } = this.#options
    const lines = new LineReader(maxControlFrameBytes)
    const tables = new TableIntake(this.#options.serving)
    const onRead = (size: number, bytes: Uint8Array): boolean => {
      const connection = { socket, lines, tables }
      void this.#take(connection, Buffer.from(bytes.buffer, bytes.byteOffset, size)).then((made) => made && socket.resume())
      return false
    }
    // Reuse one buffer, so that a large table leaves no garbage of its size. The socket is read again only after these bytes were
    // processed.
    const socket = net.connect({ path: socketPath, onread: { buffer: Buffer.allocUnsafeSlow(readAtOnce), callback: onRead } })
    this.#socket = socket
    socket.on('connect', () => {
      this.#connectedOnce = true
      this.#retryMs = firstRetryMs
      log.info({ socketPath }, 'connected to the control plane')
      this.#send(this.#hello())
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => this.#onClose(socket))
  }

  /** False: the data is invalid, and the connection must be closed. */
  async #take(connection: Connection, chunk: Buffer): Promise<boolean> {
    try {
      for (const line of connection.lines.take(chunk)) {
        // A table part is parsed only if it is new.
        if (isTablePart(line)) this.#onTableFrame(connection, (tables) => tables.part(line))
        else await this.#onLine(connection, line)
        if (this.#slices.over) await this.#slices.next()
      }
      return true
    } catch (error) {
      this.#options.log.error({ err: error }, 'unreadable message from the control plane: connecting anew')
      connection.socket.destroy()
      return false
    }
  }

  #onClose(socket: net.Socket): void {
    for (const pending of [...this.#pending.values()]) pending.reject(new Error('the control plane went away before it answered'))
    if (this.#stopped || socket !== this.#socket) return
    if (this.#connectedOnce) this.#options.log.warn({}, 'lost the control plane: serving the last table, trying again')
    this.#connectedOnce = false
    this.#socket = undefined
    // Jitter: all workers lost the same peer at the same time.
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs * (0.75 + Math.random() / 2))
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs)
  }

  #hello(): RouterMessage {
    return { type: 'hello', workerId: this.#options.workerId, pid: process.pid, ...this.#options.state() }
  }

  #send(message: RouterMessage): void {
    if (this.#socket) sendFrame(this.#socket, message)
  }

  #onLine(connection: Connection, line: Buffer): void | Promise<void> {
    const frame = decodeFrame(line)
    if (frame === undefined) return
    const parsed = controlMessage.safeParse(frame)
    if (!parsed.success) return this.#options.log.warn({}, 'message of an unknown kind from the control plane ignored')
    const { data } = parsed
    if (data.type === 'table-head') return this.#onTableFrame(connection, (tables) => tables.begin(data, line))
    if (data.type === 'table-end') return this.#onTableFrame(connection, (tables) => tables.end(data.version))
    this.#onMessage(connection.socket, data)
  }

  #onMessage(socket: net.Socket, message: Exclude<ControlFrame, { type: 'table-head' | 'table-end' }>): void {
    switch (message.type) {
      case 'in-flight': {
        const counts = this.#options.inFlight(message.instanceIds)
        sendFrame(socket, { type: 'in-flight', requestId: message.requestId, counts } satisfies RouterMessage)
        return
      }
      case 'state':
        this.#states = this.#states.then(() => this.#applyState(socket, message))
        return
      case 'command':
        void this.#runCommand(socket, message)
        return
      case 'ask-answer': {
        const pending = this.#pending.get(message.requestId)
        if (message.problem === undefined) pending?.resolve(message.answer)
        else pending?.reject(new Error(message.problem))
      }
    }
  }

  async #applyState(socket: net.Socket, { kind, revision, state }: ControlFrame & { type: 'state' }): Promise<void> {
    const answer = { type: 'state-ack', kind, revision } satisfies RouterMessage
    const handler = Object.hasOwn(this.#options.handlers.states, kind) ? this.#options.handlers.states[kind as keyof LinkStates] : undefined
    try {
      if (!handler) throw new Error(`this router does not know the state "${kind}"`)
      await handler(state as never)
      sendFrame(socket, answer)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      this.#options.log.error({ kind, revision, err: error }, 'state from the control plane refused: the one before stays')
      sendFrame(socket, { ...answer, problem } satisfies RouterMessage)
    }
  }

  async #runCommand(socket: net.Socket, { kind, requestId, ask }: ControlFrame & { type: 'command' }): Promise<void> {
    const handler = Object.hasOwn(this.#options.handlers.commands, kind) ? this.#options.handlers.commands[kind as keyof LinkCommands] : undefined
    try {
      if (!handler) throw new Error(`this router does not know the command "${kind}"`)
      const answer = await handler(ask as never)
      sendFrame(socket, { type: 'command-answer', requestId, answer } satisfies RouterMessage)
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      sendFrame(socket, { type: 'command-answer', requestId, problem } satisfies RouterMessage)
    }
  }

  #onTableFrame({ socket, tables }: Connection, take: (tables: TableIntake) => ArrivedTable | null): void {
    try {
      const table = take(tables)
      if (table) this.#onTable(socket, table)
    } catch (error) {
      this.#refuse(socket, tables.version, error)
    }
  }

  // Do not await: applying a table may need later messages.
  #onTable(socket: net.Socket, table: ArrivedTable): void {
    // A table that is already current needs no applying and must not replace the waiting one.
    if (table.content === null) return void this.#applyTable(socket, table)
    this.#nextTable = { socket, table }
    if (!this.#applying) void this.#applyTables()
  }

  async #applyTables(): Promise<void> {
    this.#applying = true
    for (let next = this.#nextTable; next; next = this.#nextTable) {
      this.#nextTable = undefined
      await this.#applyTable(next.socket, next.table)
    }
    this.#applying = false
  }

  async #applyTable(socket: net.Socket, table: ArrivedTable): Promise<void> {
    const { version } = table.head
    try {
      await this.#options.onTable(table)
      sendFrame(socket, { type: 'ack', version } satisfies RouterMessage)
    } catch (error) {
      this.#refuse(socket, version, error)
    }
  }

  #refuse(socket: net.Socket, version: number, error: unknown): void {
    this.#options.log.error({ version, err: error }, 'route table refused: the one before stays')
    sendFrame(socket, { type: 'nack', version, reason: error instanceof Error ? error.message : String(error) } satisfies RouterMessage)
  }
}
