import { afterEach } from 'vitest'
import type { Route, Target } from '@/shared/route-table'
import type { EngineLimits } from '../../env'
import type { Engine, EngineFactory } from '../engine'
import { type Closable, hostTable, openServices, quietLog, routeTo, testLimits } from '../testing'

export interface Edge {
  engine: Engine
  port: number
}

/** Opens engines and origins for one test and closes them after it. Call inside a `describe`. */
export function useEdge(createEngine: EngineFactory) {
  const open: Closable[] = []
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close()
  })
  const keep = async <T extends Closable>(thing: Promise<T> | T): Promise<T> => {
    const kept = await thing
    open.push(kept)
    return kept
  }
  const edgeWith = async (routes: Route[], limits: Partial<EngineLimits> = {}): Promise<Edge> => {
    const table = hostTable(routes)
    const engine = await keep(createEngine({ limits: { ...testLimits, ...limits }, table, log: quietLog, ...openServices(table) }))
    const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
    return { engine, port }
  }
  /** An engine with one route, `app.test`. */
  const edgeTo = (targets: Target[], limits?: Partial<EngineLimits>) => edgeWith([routeTo('app.test', targets)], limits)
  return { keep, edgeWith, edgeTo }
}
