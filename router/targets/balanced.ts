import type { LinkQueries, LinkReports } from '@/shared/link'
import { inSlices } from '@/shared/node/slices'
import type { Target } from '@/shared/route-table'
import { defaultHealthSettings, type HealthSettings } from '../health/health'
import { probeTarget } from '../health/probe'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import { Pool, type Waiter } from './pool'
import { setTargetCookie } from './sticky'
import { sameTarget, TargetState, type TargetsHost } from './target-state'
import { type Lease, noTargetProblem, type Outcome, type TargetAsk, type Targets } from './targets'
import { WakeQueue } from './wake-queue'

export interface BalancedTargetsOptions {
  table: HostTable
  log: RouterLog
  /** Reports ejections to the control plane; a report may be lost. */
  report(kind: 'health', report: LinkReports['health']): unknown
  /** Requests the start of a sleeping deployment. @throws when the control plane is unreachable. */
  wake(ask: LinkQueries['wake']['ask']): Promise<LinkQueries['wake']['answer']>
  /** Routers divide a target's request limit among themselves: this router's index, from 0, and the number of routers. */
  worker?: { id: number; count: number }
  settings?: Partial<HealthSettings>
  probe?: (target: Target) => Promise<boolean>
  /** How long a request waits for a sleeping instance. */
  wakeTimeoutMs?: number
  /** Maximum requests waiting for one deployment; further ones are refused at once. */
  maxWaiting?: number
}

const defaultMaxWaiting = 1_000
const defaultWakeTimeoutMs = 30_000

/** Makes the `Targets` of a worker. */
export function createTargets(options: BalancedTargetsOptions): Targets {
  return new BalancedTargets(options)
}

class BalancedTargets implements Targets, TargetsHost {
  readonly settings: HealthSettings
  readonly #options: BalancedTargetsOptions
  /** Keyed by instance; several entries only while an instance moves to another address. */
  readonly #states = new Map<string, TargetState[]>()
  #pools = new WeakMap<LiveRoute, Pool>()
  /** Hosts that had requests, under this table or an earlier one. */
  readonly #hosts = new Set<string>()
  /** Number of tables applied so far. */
  #generation = 0
  #endSweep: () => void = () => {}
  /** The same pools, keyed by the properties that routes must share to use one pool. */
  #byTargets = new Map<string, Pool>()
  readonly #policyIds = new WeakMap<object, number>()
  #nextPolicyId = 1
  #waiting = 0
  readonly #wakeQueue: WakeQueue
  #table: HostTable

  constructor(options: BalancedTargetsOptions) {
    this.#options = options
    this.#table = options.table
    this.settings = { ...defaultHealthSettings, ...options.settings }
    this.#wakeQueue = new WakeQueue({
      wake: options.wake,
      timeoutMs: options.wakeTimeoutMs ?? defaultWakeTimeoutMs,
      maxWaiting: options.maxWaiting ?? defaultMaxWaiting,
      log: options.log,
    })
  }

  acquire(given: LiveRoute, ask: TargetAsk): Lease | Problem | Promise<Lease | Problem> {
    const known = this.#pools.get(given)
    const route = known === undefined ? this.#newest(given) : given
    const pool = known ?? this.#pools.get(route) ?? this.#poolOf(route)
    if (pool.states.length === 0) return this.#withoutTargets(route, ask)
    const wanted = pool.sticky ? pool.stuckTo(ask.cookie(), ask.avoid) : null
    // A free place while requests wait is one that no waiting request may use: freed places are offered to waiting requests first.
    const state = pool.choose(wanted, ask.avoid)
    if (state) return this.#lease(pool, state, wanted, ask)
    return this.#enqueue(pool, route, ask, wanted, Date.now() + pool.queueTimeoutMs)
  }

  /**
   * A slow decision (password, slow body) may be based on an older table, whose instances are about to stop: use the newest route. Not if
   * the host belongs to another project now, whose access rules were not checked.
   */
  #newest(route: LiveRoute): LiveRoute {
    const newest = this.#table.find(route.host)
    return newest?.projectId === route.projectId ? newest : route
  }

  #lease(pool: Pool, state: TargetState, wanted: TargetState | null, ask: TargetAsk): Lease {
    state.inFlight++
    const setCookie = pool.sticky && state !== wanted ? setTargetCookie(state.token(pool.projectId), ask.secure === true) : null
    return new TargetLease(this, state, setCookie)
  }

  /** Ends an attempt; called once by its lease. */
  release(state: TargetState): void {
    state.inFlight--
    if (this.#waiting > 0) for (const pool of state.pools) if (pool.waiters.size > 0) pool.serveWaiters(state)
    // The target left the table, and its last request has ended.
    if (state.inFlight === 0 && state.retired) this.#forget(state)
  }

  apply(table: HostTable): void {
    const before = this.#byTargets
    this.#table = table
    this.#generation++
    this.#pools = new WeakMap()
    this.#byTargets = new Map()
    this.#endSweep()
    this.#endSweep = inSlices(this.#renew())
    if (this.#waiting > 0) for (const pool of before.values()) for (const waiter of pool.waiters) this.#waitElsewhere(pool, waiter as QueuedWaiter)
    this.#wakeQueue.apply(table, (route, ask) => this.acquire(route, ask))
  }

  /** Pools are created on demand. Pools in use are renewed soon after a new table, so that the state of their targets is kept. */
  *#renew(): Generator<void, void> {
    for (const host of this.#hosts) {
      const route = this.#table.find(host)
      if (!route || route.targets.length === 0) this.#hosts.delete(host)
      else if (!this.#pools.has(route)) this.#poolOf(route)
      yield
    }
    for (const states of this.#states.values()) {
      for (const state of states) if (state.generation !== this.#generation) this.#retire(state)
      yield
    }
  }

  // A cutover replaces all targets, which share the load at once; a target added to existing ones starts slowly.
  #greetNewcomers(pool: Pool): void {
    const isNew = (state: TargetState) => state.born === this.#generation
    if (pool.states.every(isNew)) return
    const now = Date.now()
    for (const state of pool.states) if (isNew(state)) state.joinedAt = now
    pool.refresh()
  }

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return Object.fromEntries(instanceIds.map((id) => [id, (this.#states.get(id) ?? []).reduce((sum, state) => sum + state.inFlight, 0)]))
  }

  close(): void {
    this.#endSweep()
    for (const states of this.#states.values()) for (const state of states) state.health.stop()
    for (const pool of this.#byTargets.values()) for (const waiter of pool.waiters) (waiter as QueuedWaiter).give(null, pool)
    this.#wakeQueue.close()
  }

  probe(target: Target): Promise<boolean> {
    return (this.#options.probe ?? probeTarget)(target)
  }

  reportHealth({ instanceId, address, state, reason }: Parameters<TargetsHost['reportHealth']>[0]): void {
    const { log, report } = this.#options
    if (state === 'ejected') log.warn({ instanceId, address, reason }, 'target ejected: others serve until it does better')
    else log.info({ instanceId, address, reason }, 'target restored')
    report('health', { events: [{ instanceId, state, reason, at: Date.now() }] })
  }

  #poolOf(route: LiveRoute): Pool {
    const states = route.targets.map((target) => this.#stateOf(target))
    const key = `${this.#policyId(route.policy)} ${route.targets.map((t) => `${t.instanceId} ${t.host} ${t.port}`).join(',')}`
    let pool = this.#byTargets.get(key)
    if (!pool) {
      pool = new Pool(states, route.projectId, route.policy, this.#limitOf(route))
      for (const state of states) state.join(pool, this.#generation)
      this.#byTargets.set(key, pool)
      if (this.#hosts.has(route.host)) this.#greetNewcomers(pool)
    }
    this.#hosts.add(route.host)
    this.#pools.set(route, pool)
    return pool
  }

  #policyId(policy: object): number {
    const known = this.#policyIds.get(policy)
    if (known !== undefined) return known
    this.#policyIds.set(policy, this.#nextPolicyId)
    return this.#nextPolicyId++
  }

  /** This worker's share of a limit; at least 1, so that every worker can serve requests. */
  #limitOf(route: LiveRoute): number {
    const limit = route.policy.maxRequestsPerTarget
    if (limit === null) return Number.POSITIVE_INFINITY
    const { id, count } = this.#options.worker ?? { id: 0, count: 1 }
    return Math.max(1, Math.floor(limit / count) + (id % count < limit % count ? 1 : 0))
  }

  #stateOf(target: Target): TargetState {
    const states = this.#states.get(target.instanceId) ?? []
    const known = states.find((state) => sameTarget(state.target, target))
    if (known) {
      known.target = target
      known.health.resume()
      return known
    }
    const state = new TargetState(target, this, this.#generation)
    this.#states.set(target.instanceId, [...states, state])
    return state
  }

  #retire(state: TargetState): void {
    state.retired = true
    state.pools = []
    state.health.stop()
    if (state.inFlight === 0) this.#forget(state)
  }

  #forget(state: TargetState): void {
    const left = (this.#states.get(state.target.instanceId) ?? []).filter((other) => other !== state)
    if (left.length > 0) this.#states.set(state.target.instanceId, left)
    else this.#states.delete(state.target.instanceId)
  }

  #withoutTargets(route: LiveRoute, ask: TargetAsk): Problem | Promise<Lease | Problem> {
    if (route.state === 'sleeping' && route.deploymentId !== null) return this.#wakeQueue.hold(route, route.deploymentId, ask)
    return noTargetProblem(route)
  }

  #enqueue(pool: Pool, route: LiveRoute, ask: TargetAsk, wanted: TargetState | null, deadline: number): Problem | Promise<Lease | Problem> {
    const overloaded: Problem = { kind: 'overloaded', host: route.host, projectName: route.projectName }
    if (ask.signal?.aborted || pool.waiters.size >= (this.#options.maxWaiting ?? defaultMaxWaiting) || pool.queueTimeoutMs <= 0) return overloaded
    this.#waiting++
    return new Promise((resolve) => {
      const settle = (result: Lease | Problem | Promise<Lease | Problem>) => {
        clearTimeout(timer)
        ask.signal?.removeEventListener('abort', leave)
        this.#waiting--
        resolve(result)
      }
      const waiter: QueuedWaiter = {
        route,
        ask,
        wanted,
        avoid: ask.avoid,
        deadline,
        pool,
        give: (state, from) => settle(state ? this.#lease(from, state, wanted, ask) : overloaded),
        move: (to) => settle(to()),
      }
      const leave = () => {
        waiter.pool.waiters.delete(waiter)
        settle(overloaded)
      }
      const timer = setTimeout(leave, Math.max(0, deadline - Date.now()))
      ask.signal?.addEventListener('abort', leave, { once: true })
      pool.waiters.add(waiter)
    })
  }

  // Requests that were not sent yet follow the newest table. They keep their deadline, and also their order, because they are processed in
  // order.
  #waitElsewhere(from: Pool, waiter: QueuedWaiter): void {
    from.waiters.delete(waiter)
    const route = this.#table.find(waiter.route.host)
    waiter.move(() => {
      const gone: Problem = { kind: 'no-target', host: waiter.route.host, projectName: waiter.route.projectName }
      // The host belongs to another project now, whose access rules were not checked for this request.
      if (route?.projectId !== waiter.route.projectId) return gone
      const pool = this.#pools.get(route) ?? this.#poolOf(route)
      if (pool.states.length === 0) return this.#withoutTargets(route, waiter.ask)
      const wanted = pool.sticky ? pool.stuckTo(waiter.ask.cookie(), waiter.avoid) : null
      const state = pool.choose(wanted, waiter.avoid)
      return state ? this.#lease(pool, state, wanted, waiter.ask) : this.#enqueue(pool, route, waiter.ask, wanted, waiter.deadline)
    })
  }
}

interface QueuedWaiter extends Waiter {
  readonly route: LiveRoute
  readonly ask: TargetAsk
  readonly pool: Pool
  move(to: () => Lease | Problem | Promise<Lease | Problem>): void
}

/** The only object allocated per request. */
class TargetLease implements Lease {
  readonly target: Target
  readonly setCookie: string | null
  readonly #targets: BalancedTargets
  #state: TargetState | null
  readonly #trial: boolean

  constructor(targets: BalancedTargets, state: TargetState, setCookie: string | null) {
    this.target = state.target
    this.setCookie = setCookie
    this.#targets = targets
    this.#state = state
    this.#trial = state.health.phase !== 'in'
  }

  done(outcome: Outcome): void {
    const state = this.#state
    if (state === null) return
    this.#state = null
    const { health } = state
    if (outcome.kind === 'answered') health.answered(outcome.status, this.#trial)
    else if (outcome.kind === 'fault') health.fault(outcome.fault, this.#trial)
    else health.undecided(this.#trial)
    this.#targets.release(state)
  }
}
