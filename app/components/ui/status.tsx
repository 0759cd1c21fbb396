import { cn } from '@/app/lib/cn'
import { type DeploymentStatus, deploymentTraits, type InstanceState } from '@/shared/states'

export type Tone = 'neutral' | 'progress' | 'good' | 'bad'

const dots: Record<Tone, string> = { neutral: 'bg-faint', progress: 'bg-warn-dot animate-pulse-dot', good: 'bg-good-dot', bad: 'bg-bad-dot' }
const texts: Record<Tone, string> = { neutral: 'text-muted', progress: 'text-warn', good: 'text-good', bad: 'text-bad' }
const pills: Record<Tone, string> = {
  neutral: 'bg-hover text-muted',
  progress: 'bg-warn-soft text-warn',
  good: 'bg-good-soft text-good',
  bad: 'bg-bad-soft text-bad',
}

/** Status dot with a label, because colour alone is not accessible. */
export function Status({ tone, label, pill = false, className }: { tone: Tone; label: string; pill?: boolean; className?: string }) {
  return (
    <span
      className={cn(
        'inline-flex items-center gap-1.5 whitespace-nowrap font-medium text-sm',
        pill ? ['rounded-full px-2 py-0.5', pills[tone]] : texts[tone],
        className,
      )}
    >
      <span aria-hidden className={cn('size-2 shrink-0 rounded-full', dots[tone])} />
      {label}
    </span>
  )
}

/** Status of a deployment. `live` is the environment's pointer, so a deployment that is `ACTIVE` on record but not pointed at is not called live. */
export function DeploymentStatusBadge({
  deployment,
  pill,
  className,
}: {
  deployment: { status: DeploymentStatus; cancelRequested: boolean }
  pill?: boolean
  className?: string
}) {
  const traits = deploymentTraits[deployment.status]
  const label = deployment.cancelRequested && traits.running ? 'Canceling' : traits.label
  return <Status tone={traits.tone} label={label} pill={pill} className={className} />
}

const instanceLooks: Record<InstanceState, { tone: Tone; label: string }> = {
  starting: { tone: 'progress', label: 'Starting' },
  healthy: { tone: 'good', label: 'Healthy' },
  unhealthy: { tone: 'bad', label: 'Unhealthy' },
  draining: { tone: 'progress', label: 'Draining' },
  sleeping: { tone: 'neutral', label: 'Sleeping' },
  stopped: { tone: 'neutral', label: 'Stopped' },
}

export function InstanceStatus({ state, pill, className }: { state: InstanceState; pill?: boolean; className?: string }) {
  return <Status {...instanceLooks[state]} pill={pill} className={className} />
}
