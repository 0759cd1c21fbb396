'use client'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ExternalLink } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { DeploymentSource } from '@/app/components/deployment-source'
import { DeploymentCondition } from '@/app/components/live-status'
import { PageTitle } from '@/app/components/page-title'
import { ArtifactDifferences, DifferenceGroup, SettingDifferences, VariableDifferences } from '@/app/components/release/differences'
import { Button } from '@/app/components/ui/button'
import { Card } from '@/app/components/ui/card'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { PageLink } from '@/app/components/ui/page-link'
import { Skeleton } from '@/app/components/ui/skeleton'
import { RelativeTime } from '@/app/components/ui/time'
import { wireErrorOf } from '@/app/lib/errors'
import { commitsUrl, deploymentTitle, environmentName, shortSha } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentSummary } from '@/shared/views'
import { useProject } from '../../../use-project'

function VersionCard({ label, deployment }: { label: string; deployment: DeploymentSummary | null }) {
  return (
    <Card className="min-w-0 p-4 sm:p-5" aria-label={label}>
      <div className="flex items-center justify-between gap-3">
        <h2 className="text-muted text-sm">{label}</h2>
        {deployment ? <DeploymentCondition deployment={deployment} /> : null}
      </div>
      {deployment ? (
        <>
          <PageLink
            href={paths.deployment(deployment.projectSlug, deployment.id)}
            className="mt-1 block truncate font-medium text-lg hover:text-accent-text"
          >
            {deploymentTitle(deployment)}
          </PageLink>
          <DeploymentSource deployment={deployment} className="max-w-full" />
          <p className="mt-1 text-faint text-sm">
            {environmentName(deployment.environment)} · <RelativeTime value={deployment.createdAt} />
            {deployment.commitAuthor ? ` · ${deployment.commitAuthor}` : ''}
          </p>
        </>
      ) : (
        <p className="mt-1 text-muted">Nothing is live.</p>
      )}
    </Card>
  )
}

function Commits({ from, to }: { from: DeploymentSummary; to: DeploymentSummary }) {
  if (!from.commitSha || !to.commitSha) return <p className="text-muted">Not known: one of the two versions was uploaded.</p>
  if (from.commitSha === to.commitSha) return <p className="text-muted">The same commit: {shortSha(to.commitSha)}.</p>
  const url = commitsUrl(from, to)
  return (
    <p className="flex flex-wrap items-center gap-x-3">
      <span className="font-mono text-sm">
        {shortSha(from.commitSha)} → {shortSha(to.commitSha)}
      </span>
      {url ? (
        <a href={url} target="_blank" rel="noreferrer" className="inline-flex items-center gap-1 text-accent-text hover:underline">
          View the commits <ExternalLink className="size-3.5" aria-hidden />
        </a>
      ) : null}
    </p>
  )
}

/** Two versions side by side: commits, variables by name, settings, size and build time. */
export function Compare({ id, other }: { id: string; other: string | undefined }) {
  const trpc = useTRPC()
  const router = useRouter()
  const project = useProject()
  const compared = useQuery({
    ...trpc.deployments.compare.queryOptions({ deploymentId: id, with: other }),
    placeholderData: keepPreviousData,
  })
  const choices = useQuery(trpc.deployments.list.queryOptions({ projectId: project.id, limit: 50 })).data?.items ?? []
  const { from, to, variables, settings } = compared.data ?? {}
  return (
    <>
      <PageTitle
        title="Compare versions"
        description="What differs between two deployments of this project. Values of variables are never shown."
        actions={
          <Button asChild>
            <PageLink href={paths.deployment(project.slug, id)}>Back to the deployment</PageLink>
          </Button>
        }
      />
      <SelectField
        label="Compare with"
        value={other ?? ''}
        onChange={(event) => router.replace(paths.compare(project.slug, id, event.target.value || undefined), { scroll: false })}
        className="mb-4 max-w-xl"
      >
        <option value="">What is live</option>
        {choices
          .filter((deployment) => deployment.id !== id)
          .map((deployment) => (
            <option key={deployment.id} value={deployment.id}>
              {deploymentTitle(deployment)} · {deployment.environment} · {deployment.id}
            </option>
          ))}
      </SelectField>
      {compared.error ? <ErrorPanel className="mb-4" error={wireErrorOf(compared.error)} /> : null}
      {compared.isPending ? <Skeleton className="h-40 rounded-xl" /> : null}
      {to && from !== undefined ? (
        <>
          <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
            <VersionCard label={other ? 'First version' : 'Live version'} deployment={from?.deployment ?? null} />
            <VersionCard label="This deployment" deployment={to.deployment} />
          </div>
          <Card className="mt-4 flex flex-col gap-5 p-4 sm:p-5" aria-label="Differences">
            {from ? (
              <DifferenceGroup title="Commits">
                <Commits from={from.deployment} to={to.deployment} />
              </DifferenceGroup>
            ) : null}
            <DifferenceGroup title="Runtime variables">
              <VariableDifferences variables={variables ?? null} />
            </DifferenceGroup>
            <DifferenceGroup title="Settings">
              <SettingDifferences settings={settings ?? []} />
            </DifferenceGroup>
            <DifferenceGroup title="Artifact">
              <ArtifactDifferences from={from} to={to} />
            </DifferenceGroup>
          </Card>
        </>
      ) : null}
    </>
  )
}
