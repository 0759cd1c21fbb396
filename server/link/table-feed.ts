import type net from 'node:net'
import { AppError } from '@/shared/errors'
import { maxControlFrameBytes } from '@/shared/link'
import { Slices } from '@/shared/node/slices'
import { type EncodedPart, type EncodedTable, encodeParts, headOf, tableFrames } from '@/shared/node/table-frames'
import type { RouteTable } from '@/shared/route-table'

/**
 * Encodes a table for all workers, part by part, with pauses in which the control plane does its other work.
 * @throws AppError ERR_CUTOVER for a table longer than the link carries.
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
    // No text can hold it.
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
 * Gives one worker tables, one after the other and each whole: while one is on its way only the newest that was published meanwhile is
 * kept for it. What the worker does not read yet is not written, so that other messages find their way between the parts.
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

/** Resolves when what was written has gone, or the connection has. */
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
