import { formatCount, formatMs, formatShare } from '@/app/(dashboard)/[project]/traffic/format-traffic'
import { PageLink } from '@/app/components/ui/page-link'
import { Status, type Tone } from '@/app/components/ui/status'
import { paths } from '@/app/lib/paths'
import type { DeploymentView } from '@/shared/views'
import type { WatchVerdict, WatchView } from '@/shared/watch'

const verdicts: Record<WatchVerdict, { tone: Tone; label: string }> = {
  watching: { tone: 'progress', label: 'Being watched' },
  ok: { tone: 'good', label: 'Not worse' },
  too_little_traffic: { tone: 'neutral', label: 'Too little traffic' },
  worse: { tone: 'bad', label: 'Worse' },
  superseded: { tone: 'neutral', label: 'Ended early' },
}

const rows: { label: string; value(figures: WatchView['now']): string }[] = [
  { label: 'Answers', value: ({ requests }) => formatCount(requests) },
  { label: 'Server errors', value: ({ errors, requests }) => formatShare(errors, requests) },
  { label: '95th percentile', value: ({ p95Ms }) => formatMs(p95Ms) },
]

/** The comparison with the version before, which decides whether the new version stays. */
export function Watch({ deployment, watch }: { deployment: DeploymentView; watch: WatchView }) {
  return (
    <section aria-labelledby="watch" className="px-4 py-3">
      <div className="flex items-baseline justify-between gap-4 pb-1">
        <h2 id="watch" className="font-semibold">
          Watch
        </h2>
        <Status {...verdicts[watch.verdict]} />
      </div>
      <p className="pb-2 text-muted text-sm">{watch.reason}</p>
      <table className="w-full text-sm tabular-nums">
        <thead>
          <tr className="text-faint">
            <th className="text-left font-normal">
              <span className="sr-only">Figure</span>
            </th>
            <th className="text-right font-normal">This version</th>
            <th className="text-right font-normal">
              <PageLink href={paths.deployment(deployment.projectSlug, watch.before.deploymentId)} className="hover:text-accent-text">
                Version before
              </PageLink>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ label, value }) => (
            <tr key={label}>
              <th className="py-0.5 text-left font-normal text-muted">{label}</th>
              <td className="text-right">{value(watch.now)}</td>
              <td className="text-right">{value(watch.before)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {watch.rollbackId ? (
        <PageLink
          href={paths.deployment(deployment.projectSlug, watch.rollbackId)}
          className="mt-2 inline-block text-accent-text text-sm hover:underline"
        >
          Show the rollback
        </PageLink>
      ) : null}
    </section>
  )
}
