'use client'
import { useQuery } from '@tanstack/react-query'
import { KeyRound, RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { useDeploy } from '@/app/components/use-deploy'
import { wireErrorOf } from '@/app/lib/errors'
import { useTRPC } from '@/app/lib/trpc'
import type { DeploymentSummary, ProjectView, VariableView } from '@/shared/views'
import { useProject } from '../use-project'
import { AddVariables } from './add-variables'
import { VariableRow } from './variable-row'

/** True when a variable changed after the live deployment: the running app does not have it yet. */
function isAwaitingDeployment(project: ProjectView, variables: VariableView[]): boolean {
  const { liveDeployment } = project
  return liveDeployment !== null && variables.some((variable) => variable.updatedAt > liveDeployment.createdAt)
}

/** Shown after a change until the next deployment applies it. */
function TakesEffectLater({ live }: { live: DeploymentSummary }) {
  const { redeploy, pending } = useDeploy()
  return (
    <div role="status" className="mb-4 flex flex-wrap items-center justify-between gap-3 rounded-lg border border-warn/30 bg-warn-soft px-4 py-2.5">
      <p className="text-warn">Your changes take effect with the next deployment.</p>
      <Button size="sm" variant="primary" pending={pending} onClick={() => redeploy(live)}>
        <RotateCcw /> Redeploy
      </Button>
    </div>
  )
}

/** Variables of the project. Values are write-only. */
export function Variables() {
  const trpc = useTRPC()
  const project = useProject()
  const variables = useQuery(trpc.variables.list.queryOptions({ project: project.id }))
  // The list does not show removed variables, so the page stores that a change was made.
  const [changed, setChanged] = useState(false)
  const list = variables.data?.items ?? []
  const { liveDeployment: live } = project
  const waiting = live !== null && (changed || isAwaitingDeployment(project, list))
  return (
    <>
      <PageTitle title="Variables" description="Encrypted at rest and masked in logs. A value can be replaced, but never read again." />
      {waiting ? <TakesEffectLater live={live} /> : null}
      <RefusalNote action="variable.write" className="mb-4" />
      <Permitted action="variable.write">
        <AddVariables projectId={project.id} existing={list} onChanged={() => setChanged(true)} />
      </Permitted>
      {variables.error ? <ErrorPanel className="mt-6" error={wireErrorOf(variables.error)} /> : null}
      <Card className="mt-6">
        <CardHeader title="Production" description={variables.data ? `${list.length} ${list.length === 1 ? 'variable' : 'variables'}` : 'Loading…'} />
        <div className="border-t">
          {variables.isPending ? <SkeletonRows count={3} className="h-14" /> : null}
          {variables.data && list.length === 0 ? (
            <EmptyState icon={KeyRound} title="No variables yet">
              Add the settings and secrets your app reads from its environment. You can paste a whole .env file.
            </EmptyState>
          ) : null}
          <Permitted action="variable.write">
            <ul className="divide-y">
              {list.map((variable) => (
                <VariableRow key={variable.key} projectId={project.id} variable={variable} onChanged={() => setChanged(true)} />
              ))}
            </ul>
          </Permitted>
        </div>
      </Card>
    </>
  )
}
