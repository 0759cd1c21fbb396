import type { HostTable, LiveRoute } from '../match/host-table'
import type { CompiledPolicy } from '../rules/compiled-policy'
import type { RequestView } from '../rules/request-view'
import type { Soon } from './flow'
import type { Admission, HeaderEdits } from './gate'
import { redirectAnswer } from './local-answers'

export type Entrance = { kind: 'pass'; edits: HeaderEdits | null } | Admission

/** `Strict-Transport-Security` in seconds where the answer may carry it, else null. */
export function hstsOf(route: LiveRoute, view: RequestView): number | null {
  return view.facts.scheme === 'https' && route.hstsSeconds !== undefined ? route.hstsSeconds : null
}

/**
 * Access checks of a request. Redirects to HTTPS or the canonical host come before a password is requested, so that no password is sent
 * unencrypted. ACME paths are never redirected (RFC 8555 §8.3 allows the CA to follow, but not every CA does).
 */
export function enter(table: HostTable, route: LiveRoute, compiled: CompiledPolicy, view: RequestView, now: number, stay: boolean): Soon<Entrance> {
  if (compiled.addresses !== null && !compiled.addresses.has(view.facts.clientIp))
    return { kind: 'problem', problem: { kind: 'forbidden', host: view.host } }
  const moved = stay ? null : redirectToCanonical(table, route, view)
  if (moved !== null) return moved
  return admitVisitor(route, compiled, view, now)
}

/** Checks maintenance and protection only: also applied to a request that another project rewrites to this one. */
export function admitVisitor(route: LiveRoute, compiled: CompiledPolicy, view: RequestView, now: number): Soon<Entrance> {
  const { maintenance, guard } = compiled
  if (route.closed)
    return { kind: 'problem', problem: { kind: 'closed', host: view.host, projectName: route.projectName, message: maintenance?.message ?? '' } }
  if (maintenance !== null && !maintenance.except?.has(view.facts.clientIp))
    return { kind: 'problem', problem: { kind: 'maintenance', host: view.host, projectName: route.projectName, message: maintenance.message } }
  return guard === null ? { kind: 'pass', edits: null } : guard.check(view, now)
}

function redirectToCanonical(table: HostTable, route: LiveRoute, view: RequestView): Admission | null {
  const { path, query, scheme, host } = view.facts
  if (path === '*') return null
  if (route.redirectTo !== undefined)
    return {
      kind: 'answer',
      answer: redirectAnswer(308, `${route.redirectTo.replace(/\/$/, '')}${path}${query}`, 'host-redirect', hstsOf(route, view)),
    }
  if (scheme === 'https' || !route.httpsOnly || table.httpsPort === null) return null
  const port = table.httpsPort === 443 ? '' : `:${table.httpsPort}`
  return { kind: 'answer', answer: redirectAnswer(308, `https://${host}${port}${path}${query}`, 'https-redirect', null) }
}
