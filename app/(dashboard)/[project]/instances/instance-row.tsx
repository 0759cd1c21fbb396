'use client'
import { ScrollText } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { Button } from '@/app/components/ui/button'
import { PageLink } from '@/app/components/ui/page-link'
import { InstanceStatus } from '@/app/components/ui/status'
import { Duration } from '@/app/components/ui/time'
import { formatBytes } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { InstanceView } from '@/shared/views'

/** CPU use as a share of one core between the last two measurements; before the second measurement, the average since the start. Null: not measured. */
function useCpuPercent({ stats, startedAt }: InstanceView): number | null {
  const last = useRef<{ cpuSeconds: number; at: number } | null>(null)
  const [percent, setPercent] = useState<number | null>(null)
  useEffect(() => {
    if (!stats) return
    const now = { cpuSeconds: stats.cpuSeconds, at: performance.now() }
    const before = last.current
    // Measurements less than a second apart are too noisy.
    if (before && now.at - before.at < 1000) return
    last.current = now
    if (before) setPercent(Math.max(0, ((now.cpuSeconds - before.cpuSeconds) / (now.at - before.at)) * 100_000))
  }, [stats])
  if (percent !== null || !stats || !startedAt) return percent
  return (stats.cpuSeconds / Math.max(1, (Date.now() - Date.parse(startedAt)) / 1000)) * 100
}

function Memory({ stats }: { stats: NonNullable<InstanceView['stats']> }) {
  const share = stats.memoryLimitBytes > 0 ? Math.min(1, stats.memoryBytes / stats.memoryLimitBytes) : 0
  return (
    <div className="w-full sm:w-40">
      <p className="flex justify-between gap-2 text-sm tabular-nums">
        <span>{formatBytes(stats.memoryBytes)}</span>
        {stats.memoryLimitBytes > 0 ? <span className="text-faint">of {formatBytes(stats.memoryLimitBytes)}</span> : null}
      </p>
      {/* biome-ignore lint/a11y/useSemanticElements: browsers do not let <meter> be drawn in the colours of a theme */}
      <div
        role="meter"
        aria-label="Memory"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        className="mt-1 h-1.5 overflow-hidden rounded-full bg-hover"
      >
        <div
          className={
            share > 0.9 ? 'h-full rounded-full bg-bad-dot' : share > 0.75 ? 'h-full rounded-full bg-warn-dot' : 'h-full rounded-full bg-accent'
          }
          style={{ width: `${share * 100}%` }}
        />
      </div>
    </div>
  )
}

function exitText(exit: NonNullable<InstanceView['exit']>): string {
  if (exit.outOfMemory) return 'Stopped: out of memory'
  if (exit.signal) return `Stopped by ${exit.signal}`
  return `Exited with code ${exit.code ?? 'unknown'}`
}

interface InstanceRowProps {
  instance: InstanceView
  live: boolean
  slug: string
  onLogs: () => void
}

/** An instance: state, slot, memory and CPU use. */
export function InstanceRow({ instance, live, slug, onLogs }: InstanceRowProps) {
  const cpu = useCpuPercent(instance)
  return (
    <li className="grid grid-cols-2 items-center gap-x-6 gap-y-3 px-4 py-3.5 sm:grid-cols-[9rem_1fr_10rem_4.5rem_auto] sm:px-5">
      <div>
        <InstanceStatus state={instance.state} />
        <p className="text-faint text-sm">
          <span className="capitalize">{instance.slot}</span> slot{live ? ' · live' : ''}
        </p>
      </div>
      <div className="min-w-0 text-right sm:text-left">
        <p className="truncate font-mono text-xs leading-5" title={`Instance ${instance.id}`}>
          {instance.id}
          <span className="text-faint"> · {instance.address ?? 'no address'}</span>
        </p>
        <p className="truncate text-faint text-sm">
          {instance.runtime === 'docker' ? 'Container' : 'Process'} of{' '}
          <PageLink href={paths.deployment(slug, instance.deploymentId)} className="font-mono text-xs hover:text-accent-text">
            {instance.deploymentId}
          </PageLink>
        </p>
      </div>
      <div className="col-span-2 sm:col-span-1">
        {instance.stats ? <Memory stats={instance.stats} /> : <p className="text-faint text-sm">{instance.exit ? exitText(instance.exit) : ''}</p>}
      </div>
      <div className="text-sm tabular-nums sm:text-right">
        <p suppressHydrationWarning>{cpu === null ? '' : `${Math.round(cpu)} % CPU`}</p>
        <p className="whitespace-nowrap text-faint" title="Uptime">
          {instance.startedAt ? <Duration from={instance.startedAt} to={instance.stoppedAt} /> : ''}
        </p>
      </div>
      <div className="text-right">
        <Button size="sm" onClick={onLogs}>
          <ScrollText /> Logs
        </Button>
      </div>
    </li>
  )
}
