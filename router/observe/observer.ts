import type { AccessLine, CacheState } from '@/shared/link'
import type { LiveRoute } from '../match/host-table'

/**
 * Why a request was answered by what the control plane has the routers hold for a CA or the domain doctor. Nobody else knows its path, whose
 * last part is a random token of the moment: who gives this reason was asked by no visitor.
 */
export const domainCheck = 'acme-challenge'

/** A finished request. Engines reuse one object: an observer keeps nothing of it after `end` returns. */
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
  /** The words of a line, the host with its port or beside it; asked for only when one is written. */
  describe(): Pick<AccessLine, 'requestId' | 'method' | 'host' | 'port' | 'target' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent'>
}

/** The port of a Host as the visitor's address has it; null: none does. */
export function portOf(authority: string): number | null {
  const port = Number(/:(\d{1,5})$/.exec(authority)?.[1] ?? 0)
  return port > 0 && port < 65_536 ? port : null
}

/** Counts every request, and writes a line for some. Never throws, never waits. */
export interface Observer {
  end(request: FinishedRequest): void
  close(): Promise<void>
}
