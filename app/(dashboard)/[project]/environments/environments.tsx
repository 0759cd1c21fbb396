'use client'
import { GitPullRequest, Plus } from 'lucide-react'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { ActionButton } from '@/app/components/permission'
import { ReleaseButton } from '@/app/components/release/release-menu'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { Skeleton } from '@/app/components/ui/skeleton'
import { wireErrorOf } from '@/app/lib/errors'
import type { EnvironmentView } from '@/shared/environments'
import { useEnvironments } from '../use-environments'
import { useProject } from '../use-project'
import { CreateEnvironment } from './create-environment'
import { EnvironmentCard } from './environment-card'
import { EnvironmentMenu } from './environment-menu'
import { PreviewRow } from './preview-row'

function Previews({ environments }: { environments: EnvironmentView[] }) {
  const template = environments.find((environment) => environment.template)
  const previews = environments.filter(({ kind, template: isTemplate }) => kind === 'preview' && !isTemplate)
  return (
    <Card>
      <CardHeader
        title="Previews"
        description={`One environment per pull or merge request. ${previews.length === 0 ? '' : `${previews.length} open.`}`}
        actions={template ? <EnvironmentMenu environment={template} /> : null}
      />
      <div className="border-t">
        {previews.length === 0 ? (
          <EmptyState icon={GitPullRequest} title="No open preview">
            A preview appears when a request is opened in the repository and its webhook reaches this project.
          </EmptyState>
        ) : null}
        <ul className="divide-y">
          {previews.map((environment) => (
            <PreviewRow key={environment.id} environment={environment} />
          ))}
        </ul>
      </div>
    </Card>
  )
}

/** Environments of a project: production, custom ones, previews. */
export function Environments() {
  const project = useProject()
  const environments = useEnvironments()
  const [creating, setCreating] = useState(false)
  const list = environments.data?.items ?? []
  return (
    <>
      <PageTitle
        title="Environments"
        description="Each has an address, variables, settings and a live version of its own."
        actions={
          <ActionButton action="environment.write" variant="primary" onClick={() => setCreating(true)}>
            <Plus /> New environment
          </ActionButton>
        }
      />
      {environments.error ? <ErrorPanel className="mb-4" error={wireErrorOf(environments.error)} /> : null}
      <div className="flex flex-col gap-4">
        {environments.isPending ? <Skeleton className="h-40 rounded-xl" /> : null}
        {list
          .filter(({ kind }) => kind !== 'preview')
          .map((environment) => (
            <EnvironmentCard
              key={environment.id}
              environment={environment}
              actions={
                <ReleaseButton kind="rollback" label="Roll back" deployment={environment.rollbackTo} reason="There is no earlier version yet" />
              }
            />
          ))}
        {environments.data ? <Previews environments={list} /> : null}
      </div>
      {creating ? <CreateEnvironment project={project} onClose={() => setCreating(false)} /> : null}
    </>
  )
}
