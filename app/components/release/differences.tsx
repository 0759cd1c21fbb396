import { ArrowRight, Minus, PencilLine, Plus } from 'lucide-react'
import type { ReactNode } from 'react'
import { formatBytes, formatDuration } from '@/app/lib/format'
import type { ComparedVersion, DeploymentComparison } from '@/shared/comparison'

const kinds = [
  { key: 'added', Icon: Plus, label: 'Added' },
  { key: 'removed', Icon: Minus, label: 'Removed' },
  { key: 'changed', Icon: PencilLine, label: 'Changed' },
] as const

/** Names of variables that differ; their values are never shown. */
export function VariableDifferences({ variables }: { variables: DeploymentComparison['variables'] }) {
  if (!variables) return <p className="text-muted">Not known: one of the two versions was never released.</p>
  const shown = kinds.filter(({ key }) => variables[key].length > 0)
  if (shown.length === 0) return <p className="text-muted">The same in both versions.</p>
  return (
    <ul className="flex flex-col gap-1">
      {shown.map(({ key, Icon, label }) => (
        <li key={key} className="flex items-baseline gap-2">
          <Icon className="size-3.5 shrink-0 translate-y-0.5 text-muted" aria-hidden />
          <span className="shrink-0 text-muted text-sm">{label}</span>
          <span className="wrap-anywhere font-mono text-sm">{variables[key].join(', ')}</span>
        </li>
      ))}
    </ul>
  )
}

/** Settings that differ, each with both values. */
export function SettingDifferences({ settings }: { settings: DeploymentComparison['settings'] }) {
  if (settings.length === 0) return <p className="text-muted">The same in both versions.</p>
  return (
    <ul className="flex flex-col gap-1">
      {settings.map(({ name, from, to }) => (
        <Change key={name} name={name} from={from ?? 'none'} to={to ?? 'none'} />
      ))}
    </ul>
  )
}

function Change({ name, from, to }: { name: string; from: string; to: string }) {
  return (
    <li className="flex flex-wrap items-baseline gap-x-2">
      <span className="text-muted text-sm">{name}</span>
      <span className="wrap-anywhere">{from}</span>
      <ArrowRight className="size-3.5 shrink-0 translate-y-0.5 text-faint" aria-label="becomes" />
      <span className="wrap-anywhere font-medium">{to}</span>
    </li>
  )
}

const sizeOf = ({ artifact }: ComparedVersion): string => (artifact ? formatBytes(artifact.sizeBytes) : 'no artifact')
const buildOf = ({ buildMs }: ComparedVersion): string => (buildMs === null ? 'not built' : formatDuration(buildMs))

/** Size and build time of the artifacts; one line when both versions have the same artifact. */
export function ArtifactDifferences({ from, to }: { from: ComparedVersion | null; to: ComparedVersion }) {
  if (!from || from.artifact?.digest === to.artifact?.digest)
    return (
      <p className="text-muted">
        {from && to.artifact ? 'The same artifact: ' : ''}
        {sizeOf(to)}, built in {buildOf(to)}
      </p>
    )
  return (
    <ul className="flex flex-col gap-1">
      <Change name="Size" from={sizeOf(from)} to={sizeOf(to)} />
      <Change name="Build time" from={buildOf(from)} to={buildOf(to)} />
    </ul>
  )
}

/** One group of differences under a heading. */
export function DifferenceGroup({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="min-w-0">
      <h3 className="mb-1 font-medium text-sm">{title}</h3>
      {children}
    </section>
  )
}
