import net from 'node:net'
import { z } from 'zod'
import { FrameReader, sendFrame } from '@/shared/node/frames'
import type { RouterMessage } from '@/shared/route-table'
import type { EngineLog } from '../proxy/engine'

/** A table of a million routes is about 300 MB of JSON; beyond this something is wrong on the other side. */
const maxFrameBytes = 512 * 1024 * 1024
const firstRetryMs = 50
const lastRetryMs = 2_000

// The table itself is checked by who applies it, so that a bad one can be answered with `nack`.
const controlMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('table'), table: z.looseObject({ version: z.number().catch(-1) }) }),
  z.object({ type: z.literal('in-flight'), requestId: z.number(), instanceIds: z.array(z.string()) }),
])

export interface ControlLinkOptions {
  socketPath: string
  workerId: number
  /** Version served and whether connections are accepted, told on every (re)connection. */
  state: () => { version: number; listening: boolean }
  /** Applies a table and resolves once it serves new requests. @throws when it is invalid: the old one stays. */
  onTable: (table: unknown) => Promise<void>
  inFlight: (instanceIds: readonly string[]) => Record<string, number>
  log: EngineLog
}

/**
 * The worker's end of the control socket. The control plane may be gone for as long as it likes: the link tries again for ever, and
 * nothing else in the worker waits for it.
 */
export class ControlLink {
  readonly #options: ControlLinkOptions
  #socket: net.Socket | undefined
  #timer: NodeJS.Timeout | undefined
  #retryMs = firstRetryMs
  #stopped = false
  #connectedOnce = false
  /** Tables are applied one after the other, in the order they came. */
  #queue: Promise<void> = Promise.resolve()

  constructor(options: ControlLinkOptions) {
    this.#options = options
  }

  start(): void {
    this.#connect()
  }

  /** Says hello again: the worker's own state changed (it stopped accepting). */
  announce(): void {
    if (this.#socket && !this.#socket.connecting) this.#send(this.#hello())
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #connect(): void {
    const { log, socketPath } = this.#options
    const socket = net.connect(socketPath)
    this.#socket = socket
    const reader = new FrameReader(maxFrameBytes, (frame) => this.#onFrame(socket, frame))
    socket.on('connect', () => {
      this.#connectedOnce = true
      this.#retryMs = firstRetryMs
      log.info({ socketPath }, 'connected to the control plane')
      this.#send(this.#hello())
    })
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        log.error({ err: error }, 'unreadable message from the control plane: connecting anew')
        socket.destroy()
      }
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => this.#onClose(socket))
  }

  #onClose(socket: net.Socket): void {
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

  #onFrame(socket: net.Socket, frame: unknown) {
    const parsed = controlMessage.safeParse(frame)
    if (!parsed.success) return this.#options.log.warn({}, 'message of an unknown kind from the control plane ignored')
    const message = parsed.data
    if (message.type === 'in-flight') {
      sendFrame(socket, {
        type: 'in-flight',
        requestId: message.requestId,
        counts: this.#options.inFlight(message.instanceIds),
      } satisfies RouterMessage)
      return
    }
    this.#queue = this.#queue.then(() => this.#applyTable(socket, message.table))
  }

  async #applyTable(socket: net.Socket, table: { version: number }): Promise<void> {
    const { version } = table
    try {
      await this.#options.onTable(table)
      sendFrame(socket, { type: 'ack', version } satisfies RouterMessage)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.log.error({ version, err: error }, 'route table refused: the one before stays')
      sendFrame(socket, { type: 'nack', version, reason } satisfies RouterMessage)
    }
  }
}
