import type { AccessLine, CacheState } from '@/shared/link'
import type { LiveRoute } from '../match/host-table'

/**
 * Reason of answers to challenge requests of a CA or the domain doctor. Their path ends with a random token that only the control plane
 * knows, so such a request never comes from a visitor.
 */
export const domainCheck = 'acme-challenge'

/** A finished request. Engines reuse the object: an observer must not keep it after `end` returns. */
export interface FinishedRequest {
  readonly route: LiveRoute | null
  readonly instanceId: string | null
  /** 0: the client left before an answer began. */
  readonly status: number
  readonly durationMs: number
  readonly upstreamMs: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly cache: CacheState
  readonly reason: string | null
  /** Text fields of a log line; called only when a line is written. */
  describe(): Pick<AccessLine, 'requestId' | 'method' | 'host' | 'port' | 'target' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent'>
}

/** The port in a Host header; null: none. */
export function portOf(authority: string): number | null {
  const port = Number(/:(\d{1,5})$/.exec(authority)?.[1] ?? 0)
  return port > 0 && port < 65_536 ? port : null
}

/** Counts every request and logs some. Never throws, never waits. */
export interface Observer {
  end(request: FinishedRequest): void
  close(): Promise<void>
}
