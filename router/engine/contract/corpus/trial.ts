import net from 'node:net'
import type { EngineFactory } from '../../engine'
import { hostTable, openServices, quietLog, routeTo, testLimits } from '../testing'
import { recordingOrigin } from './origin'

export interface Verdict {
  /** Bytes that the instance received and that are not a valid request. */
  unclean: string[]
  /** Why client and instance disagree about message boundaries; null: they agree. */
  desynchronised: string | null
}

/** An engine with an instance; arbitrary requests are sent one after the other. */
export interface Trial {
  try(parts: Buffer[]): Promise<Verdict>
  close(): Promise<void>
}

// No waiting: in each trial the client marks its last byte.
const limits = { ...testLimits, lingerMs: 500 }
const answered = /^HTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*?X-Target: ([^\r\n]*)\r\n/gm

export async function openTrial(create: EngineFactory): Promise<Trial> {
  const origin = await recordingOrigin()
  const table = hostTable([routeTo('app.test', [origin.target])])
  const engine = create({ limits, table, log: quietLog, ...openServices(table) })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
  const probe = new Probe(port)
  return {
    async try(parts) {
      origin.reset()
      const text = await converse(port, parts)
      const targets = origin.requests.map(({ line }) => line.split(' ')[1]?.slice(0, 100))
      // The n-th response that a client receives from the instance must belong to its n-th request.
      const seen = [...text.matchAll(answered)].map((match) => match[1])
      const strange = seen.findIndex((target, i) => target !== targets[i])
      const unclean = [...origin.unclean]
      const after = await probe.ask()
      const desynchronised = strange === -1 ? after : `answer ${strange} is to ${seen[strange]}, request was ${targets[strange]}`
      return { unclean, desynchronised }
    },
    async close() {
      probe.close()
      await engine.close()
      await origin.close()
    },
  }
}

function converse(port: number, parts: Buffer[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(
        new Error(
          `the engine keeps a connection open whose client is done: ${JSON.stringify(Buffer.concat(parts).toString('latin1').slice(0, 2000))}`,
        ),
      )
    }, 20_000)
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    const send = (i: number) => {
      const part = parts[i]
      if (part === undefined) return void socket.end()
      socket.write(part)
      if (i + 1 < parts.length) setImmediate(() => send(i + 1))
      else socket.end()
    }
    socket.on('connect', () => send(0))
  })
}

/** A well-behaved client that runs in parallel: the responses must match its own requests. */
class Probe {
  readonly #port: number
  #socket: net.Socket | null = null
  #turn = 0

  constructor(port: number) {
    this.#port = port
  }

  /** null: no problem. */
  async ask(): Promise<string | null> {
    const path = `/probe-${++this.#turn}`
    const text = await this.#exchange(`GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`)
    return text.includes(`X-Target: ${path}\r\n`) && text.endsWith('\r\n\r\nok') ? null : `a probe got ${JSON.stringify(text.slice(0, 300))}`
  }

  #exchange(request: string): Promise<string> {
    const socket = this.#socket ?? net.connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    return new Promise((resolve) => {
      let text = ''
      const finish = () => {
        clearTimeout(timer)
        socket.removeAllListeners()
        socket.on('error', () => {})
        if (socket.destroyed || !socket.writable) this.#socket = null
        resolve(text)
      }
      const timer = setTimeout(finish, 10_000)
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1')
        if (text.endsWith('\r\n\r\nok')) finish()
      })
      socket.on('error', finish)
      socket.on('close', finish)
      socket.write(request)
    })
  }

  close(): void {
    this.#socket?.destroy()
  }
}
