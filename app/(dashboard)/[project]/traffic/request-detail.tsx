'use client'
import type { ReactNode } from 'react'
import { CopyButton } from '@/app/components/ui/copy-button'
import { Dialog } from '@/app/components/ui/dialog'
import { PageLink } from '@/app/components/ui/page-link'
import { exactTime, formatBytes } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { RequestView } from '@/shared/traffic'
import { formatMs } from './format-traffic'
import { reasonSentence } from './request-reason'
import { statusText, statusTone } from './request-row'

const cacheTexts: Record<string, string> = {
  hit: 'Hit: answered from the cache',
  stale: 'Stale: answered from the cache while a new response was fetched',
  revalidated: 'Revalidated: the app confirmed the cached response',
  miss: 'Miss: answered by the app and cached',
  bypass: 'Bypass: may not be kept',
  static: 'Static file of the deployment',
  none: 'Not cached',
}

const protocolNames: Record<string, string> = { 'http/1.0': 'HTTP/1.0', 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', websocket: 'WebSocket' }

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="grid gap-0.5 py-2 sm:grid-cols-[9rem_1fr] sm:gap-4">
      <dt className="text-muted text-sm">{label}</dt>
      <dd className="wrap-anywhere min-w-0">{children}</dd>
    </div>
  )
}

/** Duration of a request: time until the app's first byte, and the remaining time. */
function Timing({ request }: { request: RequestView }) {
  const { durationMs, upstreamMs } = request
  const waited = upstreamMs === null ? 0 : Math.min(100, (100 * upstreamMs) / Math.max(durationMs, 0.001))
  return (
    <div className="mb-3 rounded-lg border bg-sunken px-4 py-3">
      <div className="flex justify-between gap-4 text-sm tabular-nums">
        <span>{upstreamMs === null ? 'Answered without the app' : `First byte of the app ${formatMs(upstreamMs)}`}</span>
        <span className="font-medium">{formatMs(durationMs)} in all</span>
      </div>
      <div aria-hidden className="mt-2 flex h-2 overflow-hidden rounded-full bg-accent/25">
        <div className="bg-accent" style={{ width: `${waited}%` }} />
      </div>
    </div>
  )
}

function Facts({ request, slug }: { request: RequestView; slug: string }) {
  return (
    <dl className="divide-y">
      <Fact label="Request id">
        <span className="inline-flex items-center gap-1">
          <span className="font-mono text-xs">{request.requestId}</span>
          <CopyButton text={request.requestId} label="Copy request id" />
        </span>
      </Fact>
      {request.reason ? <Fact label="What happened">{reasonSentence(request.reason)}</Fact> : null}
      <Fact label="Time">{exactTime(request.at)}</Fact>
      <Fact label="Address">
        <span className="font-mono text-xs">{`${request.scheme}://${request.host}${request.port === null ? '' : `:${request.port}`}${request.target}`}</span>
      </Fact>
      <Fact label="Protocol">{protocolNames[request.protocol] ?? request.protocol}</Fact>
      <Fact label="Cache">{cacheTexts[request.cache] ?? request.cache}</Fact>
      <Fact label="Body">{`${formatBytes(request.bytesIn)} received, ${formatBytes(request.bytesOut)} sent`}</Fact>
      <Fact label="Client">
        <span className="font-mono text-xs">{request.clientIp}</span>
      </Fact>
      <Fact label="User agent">{request.userAgent || 'none'}</Fact>
      <Fact label="Instance">
        {request.instanceId ? (
          <PageLink href={paths.instances(slug)} className="font-mono text-xs hover:text-accent-text">
            {request.instanceId}
          </PageLink>
        ) : (
          'none was asked'
        )}
      </Fact>
      {request.deploymentId ? (
        <Fact label="Deployment">
          <PageLink href={paths.deployment(slug, request.deploymentId)} className="font-mono text-xs hover:text-accent-text">
            {request.deploymentId}
          </PageLink>
        </Fact>
      ) : null}
    </dl>
  )
}

/** All details of a request, in a drawer. */
export function RequestDetail({ request, slug, onClose }: { request: RequestView | null; slug: string; onClose: () => void }) {
  return (
    <Dialog
      open={request !== null}
      onOpenChange={(open) => !open && onClose()}
      title="Request"
      shape="sheet"
      description={
        request ? (
          <span className="wrap-anywhere font-mono text-xs">
            <span className={`font-medium ${statusTone(request.status)}`}>{statusText(request.status)}</span> {request.method} {request.target}
          </span>
        ) : undefined
      }
    >
      {request ? (
        <div className="min-h-0 flex-1 overflow-y-auto">
          <Timing request={request} />
          <Facts request={request} slug={slug} />
        </div>
      ) : null}
    </Dialog>
  )
}
