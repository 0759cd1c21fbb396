import { latencyBoundsMs } from '@/shared/link'
import type { HostTotals } from './totals'

/**
 * Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): a HELP and a TYPE line per metric, then its
 * samples; label values escape backslash, quote and line feed; histograms are cumulative, with `+Inf`, `_sum` and `_count`.
 */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>
interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  samples: { suffix?: string; labels: Labels; value: number }[]
}

export interface MetricsInput {
  hosts: (HostTotals & { project: string })[]
  /** Open requests and upgraded connections; null: the routers did not answer in time. */
  inFlight: { project: string; instanceId: string; open: number }[] | null
  /** Number of routers that have ejected each instance. */
  ejected: { project: string; instanceId: string; routers: number }[]
  certificates: { project: string; host: string; notAfter: Date }[]
  routers: { connected: number; expected: number; tableVersion: number | null }
  droppedLines: number
}

/** Text of one scrape in Prometheus format. */
export function metricsText(input: MetricsInput): string {
  return [...trafficMetrics(input.hosts), ...stateMetrics(input)]
    .filter((metric) => metric.samples.length > 0)
    .map(textOf)
    .join('')
}

function trafficMetrics(hosts: MetricsInput['hosts']): Metric[] {
  const counter = (name: string, help: string, value: (host: HostTotals) => number): Metric => ({
    name,
    help,
    type: 'counter',
    samples: hosts.map((host) => ({ labels: labelsOf(host), value: value(host) })),
  })
  return [
    {
      name: 'switchyard_http_requests_total',
      help: 'Requests answered, by class of status; none: the client left before an answer.',
      type: 'counter',
      samples: hosts.flatMap((host) =>
        host.statuses.map((value, i) => ({ labels: { ...labelsOf(host), status: i === 0 ? 'none' : `${i}xx` }, value })),
      ),
    },
    {
      name: 'switchyard_http_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      type: 'histogram',
      samples: hosts.flatMap(histogramSamples),
    },
    counter('switchyard_http_request_bytes_total', 'Bytes of request bodies.', (host) => host.bytesIn),
    counter('switchyard_http_response_bytes_total', 'Bytes of answers.', (host) => host.bytesOut),
    counter('switchyard_http_cache_hits_total', 'Requests answered from the cache.', (host) => host.cacheHits),
  ]
}

const labelsOf = ({ project, host }: { project?: string; host: string }): Labels => ({ project: project ?? '', host })

function histogramSamples(host: MetricsInput['hosts'][number]): Metric['samples'] {
  const labels = labelsOf(host)
  let below = 0
  const buckets = latencyBoundsMs.map((bound, i) => {
    below += host.latency[i] ?? 0
    return { suffix: '_bucket', labels: { ...labels, le: String(bound / 1000) }, value: below }
  })
  return [
    ...buckets,
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: host.requests },
    { suffix: '_sum', labels, value: host.durationMs / 1000 },
    { suffix: '_count', labels, value: host.requests },
  ]
}

function stateMetrics({ inFlight, ejected, certificates, routers, droppedLines }: MetricsInput): Metric[] {
  const gauge = (name: string, help: string, samples: Metric['samples']): Metric => ({ name, help, type: 'gauge', samples })
  const single = (value: number) => [{ labels: {}, value }]
  return [
    gauge(
      'switchyard_http_requests_in_flight',
      'Requests and upgraded connections open towards an instance.',
      (inFlight ?? []).map(({ project, instanceId, open }) => ({ labels: { project, instance: instanceId }, value: open })),
    ),
    gauge(
      'switchyard_instance_ejected_routers',
      'Routers that have taken an instance out of the rotation.',
      ejected.map(({ project, instanceId, routers: count }) => ({ labels: { project, instance: instanceId }, value: count })),
    ),
    gauge(
      'switchyard_certificate_expiry_timestamp_seconds',
      'When the certificate of a host expires.',
      certificates.map(({ project, host, notAfter }) => ({ labels: { project, host }, value: Math.floor(notAfter.getTime() / 1000) })),
    ),
    gauge(
      'switchyard_routers_connected',
      'Router workers that accept connections and are in touch with the control plane.',
      single(routers.connected),
    ),
    gauge('switchyard_routers_expected', 'Router workers there should be.', single(routers.expected)),
    gauge(
      'switchyard_route_table_version',
      'Newest route table given to the routers.',
      routers.tableVersion === null ? [] : single(routers.tableVersion),
    ),
    {
      name: 'switchyard_access_lines_dropped_total',
      help: 'Errors, slow and watched requests that could not be written down.',
      type: 'counter',
      samples: single(droppedLines),
    },
  ]
}

function textOf({ name, help, type, samples }: Metric): string {
  const lines = samples.map(({ suffix = '', labels, value }) => `${name}${suffix}${labelText(labels)} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}

const escapeLabel = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
