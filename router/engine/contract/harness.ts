import net from 'node:net'
import { afterEach, vi } from 'vitest'
import type { Route, Target } from '@/shared/route-table'
import type { EngineLimits } from '../../env'
import type { Engine, EngineFactory, EngineOptions, EngineServices } from '../engine'
import { type Closable, hostTable, openServices, quietLog, routeTo, testLimits } from './testing'

export interface TestEngine {
  engine: Engine
  port: number
}

type TestServices = Partial<EngineServices & Pick<EngineOptions, 'trusts'>>

/** Opens engines and origins for one test and closes them after it. Call inside a `describe`. */
export function useEngine(createEngine: EngineFactory) {
  const open: Closable[] = []
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close()
  })
  const keep = async <T extends Closable>(thing: Promise<T> | T): Promise<T> => {
    const kept = await thing
    open.push(kept)
    return kept
  }
  /** `services` replaces the minimal services. */
  const engineWith = async (routes: Route[], limits: Partial<EngineLimits> = {}, services: TestServices = {}): Promise<TestEngine> => {
    const table = hostTable(routes)
    const all = { ...openServices(table), ...services }
    const engine = await keep(createEngine({ limits: { ...testLimits, ...limits }, table, log: quietLog, ...all }))
    const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
    return { engine, port }
  }
  /** Starts an engine with one route, `app.test`. */
  const engineTo = (targets: Target[], limits?: Partial<EngineLimits>, services?: TestServices) =>
    engineWith([routeTo('app.test', targets)], limits, services)
  return { keep, engineWith, engineTo }
}

/** Collects the local ports of sockets that enable keep-alive, until `restore`. */
export function watchKeepAlive(): { ports: number[]; restore(): void } {
  const ports: number[] = []
  const original = net.Socket.prototype.setKeepAlive
  const spy = vi.spyOn(net.Socket.prototype, 'setKeepAlive').mockImplementation(function (this: net.Socket, ...words) {
    ports.push(this.localPort ?? 0)
    return original.apply(this, words)
  })
  return { ports, restore: () => spy.mockRestore() }
}
