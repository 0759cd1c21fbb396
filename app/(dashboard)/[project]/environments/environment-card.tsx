'use client'
import { GitBranch, Lock } from 'lucide-react'
import { type ReactNode, useId } from 'react'
import { DeploymentSource } from '@/app/components/deployment-source'
import { DeploymentCondition } from '@/app/components/live-status'
import { Permitted } from '@/app/components/permission'
import { Card } from '@/app/components/ui/card'
import { PageLink } from '@/app/components/ui/page-link'
import { Status } from '@/app/components/ui/status'
import { RelativeTime } from '@/app/components/ui/time'
import { Toggle } from '@/app/components/ui/toggle'
import { deploymentTitle, hostOf } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironmentUpdate } from '../use-environment-writes'
import { environmentLabel } from '../use-environments'
import { EnvironmentMenu } from './environment-menu'

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-faint text-sm">{term}</dt>
      <dd className="mt-0.5 min-w-0">{children}</dd>
    </div>
  )
}

/** Status of the deployment that runs in it, else of its live version. */
export function EnvironmentStatus({ environment }: { environment: EnvironmentView }) {
  const { liveDeployment: live, latestDeployment: latest } = environment
  const shown = live ?? latest
  return (
    <span className="flex flex-wrap items-center gap-x-3">
      {environment.lock ? (
        <span className="inline-flex items-center gap-1 font-medium text-sm text-warn" title={environment.lock.reason}>
          <Lock className="size-3.5" aria-hidden /> Locked
        </span>
      ) : null}
      {latest && live && latest.id !== live.id ? <DeploymentCondition deployment={latest} /> : null}
      {shown ? <DeploymentCondition deployment={shown} /> : <Status tone="neutral" label="Not deployed" />}
    </span>
  )
}

/** The live version of an environment, with its commit. */
export function LiveVersion({ environment }: { environment: EnvironmentView }) {
  const { liveDeployment: live } = environment
  if (!live) return <span className="text-muted">Nothing is live</span>
  return (
    <>
      <PageLink href={paths.deployment(live.projectSlug, live.id)} className="block truncate font-medium hover:text-accent-text">
        {deploymentTitle(live)}
      </PageLink>
      <DeploymentSource deployment={live} className="max-w-full" />
      {live.liveAt ? <RelativeTime value={live.liveAt} className="block text-faint text-sm" /> : null}
    </>
  )
}

function AutomaticDeploys({ environment }: { environment: EnvironmentView }) {
  const update = useEnvironmentUpdate('Automatic deploys changed')
  const isOn = environment.autoDeploy && environment.paused === null
  const branch = environment.branch ?? (environment.kind === 'production' ? 'the branch of the project' : null)
  const hint = environment.paused ? `Paused: ${environment.paused.reason}` : branch ? `Pushes to ${branch} are deployed.` : 'No branch is set.'
  return (
    <Permitted action="environment.write">
      <Toggle
        label="Automatic deploys"
        hint={hint}
        checked={isOn}
        disabled={update.isPending}
        onChange={(autoDeploy) => update.mutate({ environment: environment.id, autoDeploy })}
      />
    </Permitted>
  )
}

/** Production or a custom environment: live version, address, branch, automatic deploys. `actions` stand before its menu. */
export function EnvironmentCard({ environment, actions }: { environment: EnvironmentView; actions?: ReactNode }) {
  const heading = useId()
  const { url, branch, ownSettings } = environment
  return (
    <Card aria-labelledby={heading}>
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2 px-4 pt-3.5 sm:px-5">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3">
            <h2 id={heading} className="truncate font-semibold text-lg leading-7">
              {environmentLabel(environment)}
            </h2>
            <EnvironmentStatus environment={environment} />
          </div>
          {url ? (
            <a href={url} target="_blank" rel="noreferrer" className="block truncate text-muted text-sm hover:text-accent-text">
              {hostOf(url)}
            </a>
          ) : null}
        </div>
        <div className="flex items-center gap-2">
          {actions}
          <EnvironmentMenu environment={environment} />
        </div>
      </div>
      <dl className="grid gap-x-8 gap-y-4 px-4 pt-4 pb-5 sm:grid-cols-2 sm:px-5 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)_minmax(0,1fr)_minmax(0,1.5fr)]">
        <Fact term="Live version">
          <LiveVersion environment={environment} />
        </Fact>
        <Fact term="Branch">
          <span className="inline-flex min-w-0 max-w-full items-center gap-1">
            <GitBranch className="size-3.5 shrink-0 text-muted" aria-hidden />
            <span className="truncate">{branch ?? (environment.kind === 'production' ? 'Branch of the project' : 'None')}</span>
          </span>
        </Fact>
        <Fact term="Settings of its own">
          <span className="wrap-anywhere">{ownSettings.length === 0 ? 'None: as in the project' : ownSettings.join(', ')}</span>
        </Fact>
        <div className="min-w-0">
          <dt className="sr-only">Pushes</dt>
          <dd>
            <AutomaticDeploys environment={environment} />
          </dd>
        </div>
      </dl>
    </Card>
  )
}
