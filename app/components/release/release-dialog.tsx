'use client'
import { useQuery } from '@tanstack/react-query'
import { Hammer, PauseCircle, Snowflake, Square } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { DeploymentSource } from '@/app/components/deployment-source'
import { ActionButton } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Dialog } from '@/app/components/ui/dialog'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { Notice } from '@/app/components/ui/notice'
import { Skeleton } from '@/app/components/ui/skeleton'
import { useDeploy } from '@/app/components/use-deploy'
import { wireErrorOf } from '@/app/lib/errors'
import { deploymentTitle, environmentName, hostOf } from '@/app/lib/format'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentComparison } from '@/shared/comparison'
import type { DeploymentSummary } from '@/shared/views'
import { DifferenceGroup, SettingDifferences, VariableDifferences } from './differences'
import { type ReleaseKind, useRelease } from './use-release'

const words: Record<ReleaseKind, { title: string; confirm: string; description: string }> = {
  rollback: {
    title: 'Roll back?',
    confirm: 'Roll back',
    description: 'The earlier version goes live again with the variables and settings it had. Nothing is built.',
  },
  promote: {
    title: 'Promote?',
    confirm: 'Promote',
    description: 'The same artifact goes live in another environment, with the variables and settings of that environment. Nothing is built.',
  },
  restart: {
    title: 'Restart?',
    confirm: 'Restart',
    description: 'New instances of the live version start with the variables and settings of now. Visitors are switched when they are healthy.',
  },
  redeploy: {
    title: 'Redeploy without a build?',
    confirm: 'Redeploy',
    description: 'The same artifact goes live with the variables and settings of now. Nothing is built.',
  },
}

function Version({ label, deployment }: { label: string; deployment: DeploymentSummary | null }) {
  return (
    <div className="min-w-0 rounded-lg border bg-sunken px-3 py-2">
      <p className="text-faint text-xs">{label}</p>
      {deployment ? (
        <>
          <p className="truncate font-medium">{deploymentTitle(deployment)}</p>
          <DeploymentSource deployment={deployment} className="max-w-full" />
        </>
      ) : (
        <p className="text-muted">Nothing is live</p>
      )}
    </div>
  )
}

function Plan({ kind, comparison }: { kind: ReleaseKind; comparison: DeploymentComparison }) {
  const { from, to, environment, builds, variables, settings } = comparison
  const cancels = kind === 'rollback' || kind === 'promote' ? builds : []
  return (
    <>
      <p>
        In <span className="font-medium">{environmentName(environment.name)}</span>, at{' '}
        <span className="wrap-anywhere font-medium">{hostOf(environment.url)}</span>:
      </p>
      <div className="grid grid-cols-1 gap-2 sm:grid-cols-2">
        <Version label="Live now" deployment={from?.deployment ?? null} />
        <Version label="Goes live" deployment={to.deployment} />
      </div>
      {to.artifact === null || to.artifact.removed ? (
        <ErrorPanel
          error={{
            message: to.artifact ? 'The artifact of this version was removed to free disk space.' : 'This deployment made no artifact.',
            nextAction: 'Deploy the same commit again: open the deployment and choose Redeploy.',
          }}
        />
      ) : null}
      {kind === 'rollback' ? (
        <Notice icon={PauseCircle} title={`Automatic deploys of ${environmentName(environment.name)} pause`}>
          Pushes are not deployed until somebody resumes them.
        </Notice>
      ) : null}
      {cancels.length > 0 ? (
        <Notice icon={Square} title={cancels.length === 1 ? 'A running build is canceled' : `${cancels.length} running builds are canceled`}>
          {cancels.map(deploymentTitle).join(', ')}
        </Notice>
      ) : null}
      <DifferenceGroup title="Runtime variables">
        <VariableDifferences variables={variables} />
      </DifferenceGroup>
      {settings.length > 0 ? (
        <DifferenceGroup title="Settings">
          <SettingDifferences settings={settings} />
        </DifferenceGroup>
      ) : null}
    </>
  )
}

/** Variables that the build wrote into the files keep their values: offers to build again for the environment. */
function Frozen({ comparison }: { comparison: DeploymentComparison }) {
  const { deploy, pending } = useRebuild(comparison)
  const { frozenVariables, environment, to } = comparison
  const differing = frozenVariables.filter(({ differs }) => differs)
  if (frozenVariables.length === 0) return null
  const names = (differing.length > 0 ? differing : frozenVariables).map(({ name }) => name).join(', ')
  if (differing.length === 0)
    return (
      <Notice icon={Snowflake} tone="info" title="The build contains variables">
        {names}: {environmentName(environment.name)} has the same values.
      </Notice>
    )
  return (
    <Notice
      icon={Snowflake}
      title={`The build contains variables of ${environmentName(to.deployment.environment)}`}
      actions={
        <Button size="sm" pending={pending} onClick={deploy}>
          <Hammer /> Rebuild for {environmentName(environment.name)} instead
        </Button>
      }
    >
      {names}: written into the files when they were built. {environmentName(environment.name)} has other values, which a promotion cannot bring in.
    </Notice>
  )
}

function useRebuild({ to, environment }: DeploymentComparison) {
  const { redeploy, pending } = useDeploy()
  return { pending, deploy: () => redeploy(to.deployment, { environment: environment.name }) }
}

function TargetField({ targets, value, onValue }: { targets: { id: string; name: string }[]; value: string; onValue: (id: string) => void }) {
  return (
    <SelectField label="Environment" value={value} onChange={(event) => onValue(event.target.value)}>
      {targets.map(({ id, name }) => (
        <option key={id} value={id}>
          {environmentName(name)}
        </option>
      ))}
    </SelectField>
  )
}

interface ReleaseDialogProps {
  kind: ReleaseKind
  deployment: DeploymentSummary
  /** Environments that it can be promoted to, production first. */
  targets?: { id: string; name: string }[]
  onClose: () => void
}

/** Shows what a rollback, promotion, restart or redeployment will change, before it starts. */
export function ReleaseDialog({ kind, deployment, targets = [], onClose }: ReleaseDialogProps) {
  const trpc = useTRPC()
  const release = useRelease(deployment)
  const [target, setTarget] = useState(targets[0]?.id)
  const environment = kind === 'promote' ? (target ?? deployment.environmentId) : deployment.environmentId
  const compared = useQuery({
    ...trpc.deployments.compare.queryOptions({ deploymentId: deployment.id, environment, present: kind === 'rollback' ? '0' : '1' }),
    // What is shown decides on a click: never an answer of before.
    staleTime: 0,
  })
  const { title, description, confirm } = words[kind]
  const artifact = compared.data?.to.artifact
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!release.pending) release.start(kind, environment)
  }
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title={title} description={description} shape="wide">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {kind === 'promote' ? <TargetField targets={targets} value={environment} onValue={setTarget} /> : null}
        {compared.isPending ? <Skeleton className="h-40" /> : null}
        {compared.error ? <ErrorPanel error={wireErrorOf(compared.error)} /> : null}
        {compared.data ? <Plan kind={kind} comparison={compared.data} /> : null}
        {compared.data && kind === 'promote' ? <Frozen comparison={compared.data} /> : null}
        {release.error ? <ErrorPanel error={release.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <ActionButton
            action="deployment.release"
            type="submit"
            variant="primary"
            pending={release.pending}
            disabled={!compared.data || !artifact || artifact.removed}
          >
            {confirm}
          </ActionButton>
        </div>
      </form>
    </Dialog>
  )
}
