import type { ReactNode } from 'react'
import { CopyButton } from '@/app/components/ui/copy-button'
import { PageLink } from '@/app/components/ui/page-link'
import { RelativeTime } from '@/app/components/ui/time'
import { environmentName, formatBytes, frameworkLabel, hostOf, repositoryLabel } from '@/app/lib/format'
import { paths } from '@/app/lib/paths'
import type { DeploymentView } from '@/shared/views'

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-4 py-1">
      <dt className="shrink-0 text-muted text-sm">{term}</dt>
      <dd className="min-w-0 truncate text-right text-sm">{children}</dd>
    </div>
  )
}

const origins: Record<DeploymentView['triggeredBy'], string> = {
  user: 'Dashboard',
  api: 'API or CLI',
  system: 'Switchyard',
  git: 'Git push',
  hook: 'Deploy hook',
}

/** Details of a deployment: commit, times, build settings. */
export function DeploymentFacts({ deployment }: { deployment: DeploymentView }) {
  const { artifact, source } = deployment
  return (
    <section aria-labelledby="facts" className="px-4 py-3">
      <h2 id="facts" className="pb-1 font-semibold">
        Details
      </h2>
      <dl>
        <Fact term="Created">
          <RelativeTime value={deployment.createdAt} />
          {deployment.createdBy ? ` by ${deployment.createdBy}` : ''}
        </Fact>
        <Fact term="Started from">{origins[deployment.triggeredBy]}</Fact>
        {deployment.repeats ? (
          <Fact term={deployment.kind === 'build' ? 'Repeats' : 'Artifact of'}>
            <PageLink href={paths.deployment(deployment.projectSlug, deployment.repeats)} className="font-mono text-xs hover:text-accent-text">
              {deployment.repeats}
            </PageLink>
          </Fact>
        ) : null}
        <Fact term="Environment">{environmentName(deployment.environment)}</Fact>
        <Fact term="Source">{source.kind === 'git' && source.repository ? repositoryLabel(source.repository) : 'Uploaded folder'}</Fact>
        {deployment.framework ? <Fact term="Framework">{frameworkLabel(deployment.framework)}</Fact> : null}
        {deployment.summary ? (
          <Fact term="Build">
            <span title={deployment.summary}>{deployment.summary}</span>
          </Fact>
        ) : null}
        {artifact ? (
          <Fact term={artifact.kind === 'image' ? 'Image' : 'Bundle'}>
            <span title={artifact.digest}>
              {formatBytes(artifact.sizeBytes)} · <span className="font-mono text-xs">{artifact.digest.slice(7, 19)}</span>
            </span>
            <a href={`/api/v1/deployments/${deployment.id}/download`} className="ml-2 text-accent-text hover:underline">
              Download
            </a>
          </Fact>
        ) : null}
        <Fact term="Address">
          {deployment.live ? (
            <a href={deployment.url} target="_blank" rel="noreferrer" title={deployment.url} className="hover:text-accent-text">
              {hostOf(deployment.url)}
            </a>
          ) : (
            <span title={`${deployment.url} answers only while this deployment is live`} className="text-faint">
              {hostOf(deployment.url)} (not live)
            </span>
          )}
        </Fact>
        <div className="flex items-center justify-between gap-4">
          <dt className="text-muted text-sm">Id</dt>
          <dd className="-mr-1.5 flex items-center font-mono text-xs">
            {deployment.id}
            <CopyButton text={deployment.id} label="Copy id" />
          </dd>
        </div>
      </dl>
    </section>
  )
}
