import type { Method } from '../endpoint'
import { endpoints } from '../endpoints'
import { routesOf } from './endpoint-routes'
import type { RestRoute } from './route'

/** Every route of REST v1: dispatched from here, documented from here, and checked by the authorization matrix test from here. */
export const catalogue: readonly RestRoute[] = routesOf(endpoints)

export const restBase = '/api/v1'

export type Match = { route: RestRoute; params: Record<string, string> } | { allow: Method[] } | null

/** The route for a path below `restBase`; the methods it knows when only the method is wrong; null for an unknown path. */
export function matchRoute(method: string, pathname: string): Match {
  const segments = pathname.split('/').filter(Boolean)
  const allow: Method[] = []
  for (const route of catalogue) {
    const params = matchPath(route.path, segments)
    if (!params) continue
    if (route.method === method) return { route, params }
    allow.push(route.method)
  }
  return allow.length > 0 ? { allow } : null
}

function matchPath(template: string, segments: string[]): Record<string, string> | null {
  const wanted = template.split('/').filter(Boolean)
  if (wanted.length !== segments.length) return null
  const params: Record<string, string> = {}
  for (const [i, part] of wanted.entries()) {
    const segment = segments[i] ?? ''
    if (part.startsWith('{')) params[part.slice(1, -1)] = segment
    else if (part !== segment) return null
  }
  return params
}
