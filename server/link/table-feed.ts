import type net from 'node:net'
import { AppError } from '@/shared/errors'
import { maxControlFrameBytes } from '@/shared/link'
import { Slices } from '@/shared/node/slices'
import { type EncodedPart, type EncodedTable, encodeParts, headOf, tableFrames } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'

/**
 * Encodes a table once for all workers, part by part, and yields to the event loop between slices.
 * @throws AppError ERR_CUTOVER for a table that exceeds the size limit of the link.
 */
export async function encodeTable(table: RouteTable, maxBytes = maxControlFrameBytes): Promise<EncodedTable> {
  const slices = new Slices()
  const parts: EncodedPart[] = []
  let size = 0
  try {
    for (const part of encodeParts(table)) {
      parts.push(part)
      size += part.frame.length
      if (size > maxBytes) throw tooLong(table.version, maxBytes)
      if (slices.over) await slices.next()
    }
  } catch (error) {
    // RangeError: the JSON exceeds the maximum length of a string.
    throw error instanceof RangeError ? tooLong(table.version, maxBytes) : error
  }
  return { head: headOf(table), parts }
}

const tooLong = (version: number, maxBytes: number) =>
  new AppError('ERR_CUTOVER', `route table ${version} is longer than the ${maxBytes} bytes that routers read`, {
    step: 'cutover',
    stillServing: 'The routers keep the route table they have.',
    nextAction: 'Remove projects or domains that are not used.',
  })

/**
 * Sends tables to one worker, one at a time and each completely. While one is being sent, only the newest later table is kept. Writing
 * pauses until the worker has read the previous parts, so that other messages can be sent between parts.
 */
export class TableFeed {
  readonly #socket: net.Socket
  #next: EncodedTable | null = null
  #feeding = false

  constructor(socket: net.Socket) {
    this.#socket = socket
  }

  give(table: EncodedTable): void {
    this.#next = table
    if (!this.#feeding) void this.#feed()
  }

  async #feed(): Promise<void> {
    this.#feeding = true
    for (let table = this.#next; table; table = this.#next) {
      this.#next = null
      await this.#write(table)
    }
    this.#feeding = false
  }

  async #write(table: EncodedTable): Promise<void> {
    const slices = new Slices()
    for (const frame of tableFrames(table)) {
      if (!this.#socket.writable) return
      if (!this.#socket.write(frame)) await drained(this.#socket)
      if (slices.over) await slices.next()
    }
  }
}

/** Resolves when the socket's write buffer is empty or the socket is closed. */
function drained(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle)
      socket.off('close', settle)
      resolve()
    }
    socket.on('drain', settle)
    socket.on('close', settle)
  })
}
