import { Card } from '@/app/components/ui/card'
import { formatBytes } from '@/app/lib/format'
import type { TrafficSeries, TrafficSums } from '@/shared/traffic'
import { formatCount, formatMs, formatShare } from './format-traffic'

function Table({ title, rows }: { title: string; rows: (TrafficSums & { name: string })[] }) {
  return (
    <Card className="min-w-0">
      <table className="w-full text-sm">
        <caption className="px-4 pt-3.5 pb-2 text-left font-semibold text-base sm:px-5">{title}</caption>
        <thead className="text-faint">
          <tr className="border-t *:px-2 *:py-1.5 *:text-right *:font-normal">
            <th scope="col" className="pl-4! text-left! sm:pl-5!">
              <span className="sr-only">{title}</span>
            </th>
            <th scope="col">Requests</th>
            <th scope="col">5xx</th>
            <th scope="col" className="max-sm:pr-4!">
              p95
            </th>
            <th scope="col" className="hidden pr-5! sm:table-cell">
              Sent
            </th>
          </tr>
        </thead>
        <tbody className="divide-y border-t">
          {rows.map((row) => (
            <tr key={row.name} className="tabular-nums *:px-2 *:py-2 *:text-right">
              <th scope="row" className="max-w-0 pl-4! text-left! font-normal sm:pl-5!">
                <span className="block font-mono text-xs leading-5 max-sm:wrap-anywhere sm:truncate" title={row.name}>
                  {row.name}
                </span>
              </th>
              <td className="w-16">{formatCount(row.requests)}</td>
              <td className={(row.statuses[5] ?? 0) > 0 ? 'w-16 text-bad' : 'w-16 text-faint'}>{formatShare(row.statuses[5] ?? 0, row.requests)}</td>
              <td className="w-20 max-sm:pr-4!">{formatMs(row.p95)}</td>
              <td className="hidden w-24 pr-5! sm:table-cell">{formatBytes(row.bytesOut)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  )
}

/** Requests by hostname and by instance. */
export function Breakdown({ series }: { series: TrafficSeries }) {
  return (
    <div className="mt-4 grid items-start gap-4 lg:grid-cols-2">
      <Table title="Hosts" rows={series.hosts.map((row) => ({ ...row, name: row.host }))} />
      {series.instances.length > 0 ? <Table title="Instances" rows={series.instances.map((row) => ({ ...row, name: row.instanceId }))} /> : null}
    </div>
  )
}
