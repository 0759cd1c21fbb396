import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import type { Route, RouteTable } from '@/shared/route-table'
import { quietLog, routeTo, tableOf } from '../engine/contract/testing'
import { HostTable, type LiveRoute } from '../match/host-table'
import { createGate, type GateOptions } from './create-gate'
import type { Admission, RequestFacts, TableGate } from './gate'

export interface RequestInput {
  method?: string
  host?: string
  scheme?: 'http' | 'https'
  clientIp?: string
  headers?: Record<string, string>
}

/** Request facts for `target` (path and query). */
export function factsOf(
  target: string,
  { method = 'GET', host = 'app.test', scheme = 'http', clientIp = '203.0.113.9', headers = {} }: RequestInput = {},
): RequestFacts {
  const mark = target.indexOf('?')
  const [path, query] = mark === -1 ? [target, ''] : [target.slice(0, mark), target.slice(mark)]
  const authority = (headers.host ?? host).toLowerCase()
  const lines = { header: (name: string) => headers[name], has: (name: string) => headers[name] !== undefined }
  return { method, host, authority, path, query, target, scheme, clientIp, forwardedFor: clientIp, requestId: 'id', ...lines }
}

/** A live route at a.test without instances. */
export const liveRoute = (more: Partial<LiveRoute> = {}): LiveRoute => ({
  host: 'a.test',
  teamId: 't',
  projectId: 'p',
  projectName: 'shop',
  deploymentId: 'd1',
  state: 'live',
  targets: [],
  policy: defaultProjectRules,
  ...more,
})

export interface TestGate {
  gate: TableGate
  table: HostTable
  ask(target: string, asked?: RequestInput): Promise<Admission>
}

/** A gate with one app at app.test with these rules; `more` overrides its parts. */
export function gateFor(
  policy: Partial<ProjectRules>,
  route: Partial<Route> = {},
  more: { routes?: Route[]; policies?: Record<string, ProjectRules>; table?: Partial<RouteTable>; options?: Partial<GateOptions> } = {},
): TestGate {
  const target = { instanceId: 'i', host: '127.0.0.1', port: 1 }
  const table = new HostTable({
    ...tableOf([routeTo('app.test', [target], { policy: 'p', ...route }), ...(more.routes ?? [])]),
    policies: { p: { ...defaultProjectRules, ...policy }, ...more.policies },
    ...more.table,
  })
  const gate = createGate({ table, log: quietLog, ...more.options })
  const ask = async (path: string, asked: RequestInput = {}) => {
    const facts = factsOf(path, asked)
    const found = table.find(facts.host)
    return found ? gate.admit(found as LiveRoute, facts) : gate.admitUnknown(facts)
  }
  return { gate, table, ask }
}

/** Summary of an admission: `308 /new`, `forward /target`, `429 rate-limited`. */
export function brief(admission: Admission): string {
  if (admission.kind === 'problem') return `problem ${admission.problem.kind}`
  if (admission.kind === 'answer')
    return `${admission.answer.status} ${headerOf(admission.answer.headers, 'location') ?? admission.answer.why ?? ''}`.trim()
  const { outside, route, target } = admission
  const where = outside
    ? `${outside.scheme}://${outside.address}:${outside.port} as ${outside.hostname} `
    : route.host === 'app.test'
      ? ''
      : `${route.host} `
  return `forward ${where}${target ?? 'as it is'}`
}

export const headerOf = (headers: readonly (readonly [string, string])[], name: string): string | undefined =>
  headers.find(([key]) => key.toLowerCase() === name)?.[1]
