import { AppError } from '@/shared/errors'
import type { ControlMessage, LinkCommands, LinkQueries, LinkReports, LinkStates, RouterMessage } from '@/shared/link'

/** A connected router worker. */
export interface Peer {
  readonly name: string
  /** False while the worker drains; it still answers its open requests. */
  readonly listening: boolean
  send(message: ControlMessage): void
}

type MessageFrame = Extract<RouterMessage, { type: 'state-ack' | 'command-answer' | 'ask' | 'report' }>

interface Waiter {
  waiting: Set<Peer>
  /** Called for each answer; the waiter may end at the first `problem`. */
  onAnswer: (answer: unknown, problem: string | undefined) => void
  done: () => void
}

interface KeptState {
  revision: number
  state: unknown
  waiters: Set<Waiter>
}

/** All messages of the link except route tables: states, commands, queries, reports (see `shared/link.ts`). */
export class LinkMessages {
  readonly #peers = new Set<Peer>()
  readonly #states = new Map<string, KeptState>()
  readonly #commands = new Map<number, Waiter>()
  readonly #asks = new Map<string, (ask: unknown) => Promise<unknown>>()
  readonly #reports = new Map<string, (report: unknown, worker: string) => void>()
  readonly #log: { warn(fields: object, message: string): void } | undefined
  #nextRevision = 1
  #nextRequest = 1

  constructor(log?: { warn(fields: object, message: string): void }) {
    this.#log = log
  }

  /**
   * Sends a state to every router, now and whenever a router connects. Resolves when all connected routers have acknowledged it.
   * @throws AppError ERR_UNAVAILABLE when a router refuses it, ERR_DEADLINE when a router does not answer. The state stays the newest either way.
   */
  setState<K extends keyof LinkStates>(kind: K, state: LinkStates[K], { deadlineMs }: { deadlineMs: number }): Promise<void> {
    const revision = this.#nextRevision++
    const kept: KeptState = { revision, state, waiters: new Set() }
    // Callers that wait for an older revision resolve once the newer one is acknowledged.
    for (const waiter of this.#states.get(kind)?.waiters ?? []) kept.waiters.add(waiter)
    this.#states.set(kind, kept)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        waiting: new Set([...this.#peers].filter((peer) => peer.listening)),
        onAnswer: (_answer, problem) => {
          if (problem === undefined) return
          end()
          reject(new AppError('ERR_UNAVAILABLE', `a router refused the new ${kind}: ${problem}`))
        },
        done: () => {
          end()
          resolve()
        },
      }
      const end = () => {
        clearTimeout(timer)
        for (const other of this.#states.values()) other.waiters.delete(waiter)
      }
      const timer = setTimeout(() => {
        end()
        reject(new AppError('ERR_DEADLINE', `router ${names(waiter.waiting)} did not take the new ${kind} within ${deadlineMs} ms`))
      }, deadlineMs)
      kept.waiters.add(waiter)
      for (const peer of this.#peers) peer.send({ type: 'state', kind, revision, state })
      if (waiter.waiting.size === 0) waiter.done()
    })
  }

  /**
   * Sends a command to every connected router and resolves with their answers.
   * @throws AppError ERR_DEADLINE when a router does not answer, ERR_UNAVAILABLE when a router fails.
   */
  command<K extends keyof LinkCommands>(
    kind: K,
    ask: LinkCommands[K]['ask'],
    { deadlineMs }: { deadlineMs: number },
  ): Promise<LinkCommands[K]['answer'][]> {
    const requestId = this.#nextRequest++
    const answers: LinkCommands[K]['answer'][] = []
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        this.#commands.delete(requestId)
      }
      const waiter: Waiter = {
        waiting: new Set(this.#peers),
        onAnswer: (answer, problem) => {
          if (problem === undefined) return void answers.push(answer as LinkCommands[K]['answer'])
          end()
          reject(new AppError('ERR_UNAVAILABLE', `a router could not carry out "${kind}": ${problem}`))
        },
        done: () => {
          end()
          resolve(answers)
        },
      }
      const timer = setTimeout(() => {
        end()
        reject(new AppError('ERR_DEADLINE', `router ${names(waiter.waiting)} did not answer "${kind}" within ${deadlineMs} ms`))
      }, deadlineMs)
      this.#commands.set(requestId, waiter)
      for (const peer of this.#peers) peer.send({ type: 'command', kind, requestId, ask })
      if (waiter.waiting.size === 0) waiter.done()
    })
  }

  /** Registers the handler of a query. The handler validates the query. */
  onAsk<K extends keyof LinkQueries>(kind: K, answer: (ask: LinkQueries[K]['ask']) => Promise<LinkQueries[K]['answer']>): void {
    this.#asks.set(kind, answer as (ask: unknown) => Promise<unknown>)
  }

  onReport<K extends keyof LinkReports>(kind: K, take: (report: LinkReports[K], worker: string) => void): void {
    this.#reports.set(kind, take as (report: unknown, worker: string) => void)
  }

  add(peer: Peer): void {
    this.#peers.add(peer)
    for (const [kind, { revision, state }] of this.#states) peer.send({ type: 'state', kind, revision, state })
  }

  remove(peer: Peer): void {
    if (!this.#peers.delete(peer)) return
    const waiters = [...this.#commands.values(), ...[...this.#states.values()].flatMap((kept) => [...kept.waiters])]
    for (const waiter of waiters) if (waiter.waiting.delete(peer) && waiter.waiting.size === 0) waiter.done()
  }

  handle(peer: Peer, frame: MessageFrame): void {
    switch (frame.type) {
      case 'state-ack':
        this.#onStateAck(peer, frame)
        return
      case 'command-answer': {
        const waiter = this.#commands.get(frame.requestId)
        if (!waiter?.waiting.delete(peer)) return
        waiter.onAnswer(frame.answer, frame.problem)
        if (waiter.waiting.size === 0 && this.#commands.has(frame.requestId)) waiter.done()
        return
      }
      case 'ask':
        void this.#answer(peer, frame)
        return
      case 'report':
        this.#take(peer, frame)
    }
  }

  #onStateAck(peer: Peer, { kind, revision, problem }: MessageFrame & { type: 'state-ack' }): void {
    const kept = this.#states.get(kind)
    if (!kept || kept.revision !== revision) return
    for (const waiter of [...kept.waiters]) {
      if (!waiter.waiting.delete(peer)) continue
      waiter.onAnswer(undefined, problem)
      if (waiter.waiting.size === 0 && kept.waiters.has(waiter)) waiter.done()
    }
  }

  async #answer(peer: Peer, { kind, requestId, ask }: MessageFrame & { type: 'ask' }): Promise<void> {
    try {
      const handler = this.#asks.get(kind)
      if (!handler) throw new Error(`no handler for the query "${kind}"`)
      peer.send({ type: 'ask-answer', requestId, answer: await handler(ask) })
    } catch (error) {
      this.#log?.warn({ err: error, kind, worker: peer.name }, 'a query of a router failed')
      peer.send({ type: 'ask-answer', requestId, problem: error instanceof Error ? error.message : String(error) })
    }
  }

  #take(peer: Peer, { kind, report }: MessageFrame & { type: 'report' }): void {
    try {
      this.#reports.get(kind)?.(report, peer.name)
    } catch (error) {
      this.#log?.warn({ err: error, kind, worker: peer.name }, 'a report of a router could not be read')
    }
  }
}

const names = (peers: Set<Peer>) => [...peers].map((peer) => peer.name).join(', ')
