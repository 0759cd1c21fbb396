import { Ban, Check, CircleDashed, LoaderCircle, type LucideIcon, TriangleAlert, X } from 'lucide-react'
import { Duration } from '@/app/components/ui/time'
import { cn } from '@/app/lib/cn'
import { deploymentTraits, type StepStatus } from '@/shared/states'
import type { DeploymentView, PendingStepView, StepView } from '@/shared/views'

const looks: Record<StepStatus, { Icon: LucideIcon; className: string; label: string }> = {
  running: { Icon: LoaderCircle, className: 'text-warn [&_svg]:animate-spin', label: 'running' },
  done: { Icon: Check, className: 'text-good', label: 'done' },
  failed: { Icon: X, className: 'text-bad', label: 'failed' },
  canceled: { Icon: Ban, className: 'text-faint', label: 'canceled' },
  interrupted: { Icon: TriangleAlert, className: 'text-warn', label: 'interrupted' },
}

const nice: Record<string, string> = {
  prepare: 'Prepare base image',
  health: 'Health check',
  cutover: 'Switch traffic',
  drain: 'Drain old version',
  stop: 'Stop old version',
  keep: 'Keep old version warm',
  wake: 'Wake instances',
}
const stepLabel = (name: string): string => nice[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll(/[-_]/g, ' ')

function Step({ step, onStep }: { step: StepView; onStep: (name: string) => void }) {
  const { Icon, className, label } = looks[step.status]
  return (
    <li>
      <button
        type="button"
        onClick={() => onStep(step.name)}
        className="flex w-full items-start gap-3 px-4 py-2 text-left transition-colors hover:bg-hover/60 focus-visible:-outline-offset-2"
      >
        <span className={cn('mt-0.5 grid size-4 shrink-0 place-items-center [&_svg]:size-4', className)}>
          <Icon aria-hidden />
          <span className="sr-only">{label}</span>
        </span>
        <span className="min-w-0 flex-1">
          <span className="flex items-baseline gap-2">
            <span className={cn('truncate', step.status === 'running' && 'font-medium')}>{stepLabel(step.name)}</span>
            {step.cached ? <span className="rounded-full bg-accent-soft px-1.5 text-accent-text text-xs">cached</span> : null}
            {step.attempt > 1 ? <span className="rounded-full bg-hover px-1.5 text-muted text-xs">try {step.attempt}</span> : null}
            <Duration from={step.startedAt} to={step.endedAt} className="ml-auto shrink-0 text-muted text-sm" />
          </span>
          {step.detail ? (
            <span title={step.detail} className="block truncate text-faint text-sm">
              {step.detail}
            </span>
          ) : null}
        </span>
      </button>
    </li>
  )
}

function PendingStep({ step }: { step: PendingStepView }) {
  return (
    <li className="flex items-start gap-3 px-4 py-2 text-faint">
      <CircleDashed className="mt-0.5 size-4 shrink-0" aria-hidden />
      <span className="min-w-0 flex-1">
        <span className="sr-only">to come: </span>
        {stepLabel(step.name)}
        {step.detail ? (
          <span title={step.detail} className="block truncate text-sm">
            {step.detail}
          </span>
        ) : null}
      </span>
    </li>
  )
}

/** Finished steps with their durations, then future steps. Selecting a step jumps to its first log line. */
export function Steps({ deployment, onStep }: { deployment: DeploymentView; onStep: (name: string) => void }) {
  const waiting = deploymentTraits[deployment.status].running && deployment.steps.length === 0
  return (
    <section aria-labelledby="steps" className="py-2">
      <div className="flex items-baseline justify-between px-4 py-1.5">
        <h2 id="steps" className="font-semibold">
          Steps
        </h2>
        {deployment.startedAt ? (
          <span className="text-muted text-sm">
            <span className="sr-only">Total </span>
            <Duration from={deployment.startedAt} to={deployment.liveAt ?? deployment.endedAt} />
          </span>
        ) : null}
      </div>
      {waiting ? (
        <p className="flex items-center gap-3 px-4 py-2 text-muted">
          <CircleDashed className="size-4 animate-pulse-dot" aria-hidden /> Waiting for a worker…
        </p>
      ) : null}
      {!waiting && deployment.steps.length === 0 ? <p className="px-4 py-2 text-muted">No step was started.</p> : null}
      <ol>
        {deployment.steps.map((step) => (
          <Step key={step.id} step={step} onStep={onStep} />
        ))}
        {deployment.pendingSteps.map((step) => (
          <PendingStep key={step.name} step={step} />
        ))}
      </ol>
    </section>
  )
}
