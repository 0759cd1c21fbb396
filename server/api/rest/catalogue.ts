import type { Method } from '../endpoint'
import { endpoints } from '../endpoints'
import { routesOf } from './endpoint-routes'
import type { RestRoute } from './route'

/** All routes of REST v1, used for dispatch, for the OpenAPI document and for the authorization matrix test. */
export const catalogue: readonly RestRoute[] = routesOf(endpoints)

export const restBase = '/api/v1'

export type Match = { route: RestRoute; params: Record<string, string> } | { allow: Method[] } | null

/** Finds the route of a path below `restBase`. `allow`: the path exists, but not with this method. null: unknown path. */
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
