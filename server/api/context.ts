import type { Actor } from '../actor'
import { newRequestId } from './http-error'
import { authenticate, requireSameOrigin } from './session'
import { clientAddress } from './visitor'

export interface ApiContext {
  /** null: not signed in. */
  actor: Actor | null
  address: string
  /** Headers of the request, used to check again whether a stream may continue. */
  headers: Headers
  requestId: string
}

/**
 * Creates the context of a request. `headers`: of the transport, or of a page rendered on the server.
 * @throws AppError for an invalid key, and for a mutation from another site.
 */
export async function createContext(request: { headers: Headers; method?: string }): Promise<ApiContext> {
  const { headers, method = 'GET' } = request
  const identity = await authenticate(headers)
  if (identity?.by === 'cookie' && method !== 'GET' && method !== 'HEAD') requireSameOrigin(headers)
  return { actor: identity?.actor ?? null, address: clientAddress(headers), headers, requestId: newRequestId() }
}
