import type { AccessLine, CacheState } from '@/shared/edge-link'
import type { LiveRoute } from '../match/host-table'

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
  /** The words of a line; asked for only when one is written. */
  describe(): Pick<AccessLine, 'requestId' | 'method' | 'host' | 'target' | 'protocol' | 'scheme' | 'clientIp' | 'userAgent'>
}

/** Counts every request, and writes a line for some. Never throws, never waits. */
export interface Observer {
  end(request: FinishedRequest): void
  close(): Promise<void>
}
