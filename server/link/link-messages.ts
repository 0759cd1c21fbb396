import { AppError } from '@/shared/errors'
import type { ControlMessage, LinkCommands, LinkQueries, LinkReports, LinkStates, RouterMessage } from '@/shared/link'

/** A connected router worker, as this part sees it. */
export interface Peer {
  readonly name: string
  /** Draining workers still answer what they have open. */
  readonly listening: boolean
  send(message: ControlMessage): void
}

type MessageFrame = Extract<RouterMessage, { type: 'state-ack' | 'command-answer' | 'ask' | 'report' }>

interface Waiter {
  waiting: Set<Peer>
  /** One peer less; `problem` ends the wait at once where one refusal is enough. */
  onAnswer: (answer: unknown, problem: string | undefined) => void
  done: () => void
}

interface KeptState {
  revision: number
  state: unknown
  waiters: Set<Waiter>
}

/** Everything on the link that is not a route table: states, commands, asks, reports (see `shared/link.ts`). */
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
   * Gives a state to every router, now and whenever one says hello, and resolves when all connected ones have it.
   * @throws AppError ERR_UNAVAILABLE when one refuses it, ERR_DEADLINE when one is silent. The state stays the newest either way.
   */
  setState<K extends keyof LinkStates>(kind: K, state: LinkStates[K], { deadlineMs }: { deadlineMs: number }): Promise<void> {
    const revision = this.#nextRevision++
    const kept: KeptState = { revision, state, waiters: new Set() }
    // Who waited for an older one has what it wanted as soon as the newer one is there.
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
   * Has every connected router do something; resolves with their answers.
   * @throws AppError ERR_DEADLINE or ERR_UNAVAILABLE when one did not.
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

  /** Who answers a question of the routers. Who handles it checks it. */
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
      if (!handler) throw new Error(`nobody here answers "${kind}"`)
      peer.send({ type: 'ask-answer', requestId, answer: await handler(ask) })
    } catch (error) {
      this.#log?.warn({ err: error, kind, worker: peer.name }, 'a question of a router was not answered')
      peer.send({ type: 'ask-answer', requestId, problem: error instanceof Error ? error.message : String(error) })
    }
  }

  #take(peer: Peer, { kind, report }: MessageFrame & { type: 'report' }): void {
    try {
      this.#reports.get(kind)?.(report, peer.name)
    } catch (error) {
      this.#log?.warn({ err: error, kind, worker: peer.name }, 'a report of a router was not understood')
    }
  }
}

const names = (peers: Set<Peer>) => [...peers].map((peer) => peer.name).join(', ')
