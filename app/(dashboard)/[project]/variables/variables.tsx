'use client'
import { useQuery } from '@tanstack/react-query'
import { KeyRound, RotateCcw } from 'lucide-react'
import { useRouter, useSearchParams } from 'next/navigation'
import { useState } from 'react'
import { PageTitle } from '@/app/components/page-title'
import { Permitted, RefusalNote } from '@/app/components/permission'
import { Button } from '@/app/components/ui/button'
import { Card, CardHeader } from '@/app/components/ui/card'
import { EmptyState } from '@/app/components/ui/empty-state'
import { ErrorPanel } from '@/app/components/ui/error-panel'
import { SelectField } from '@/app/components/ui/field'
import { Notice } from '@/app/components/ui/notice'
import { SkeletonRows } from '@/app/components/ui/skeleton'
import { useDeploy } from '@/app/components/use-deploy'
import { wireErrorOf } from '@/app/lib/errors'
import { paths } from '@/app/lib/paths'
import { useTRPC } from '@/app/lib/trpc'
import type { EnvironmentView } from '@/shared/environments'
import type { DeploymentSummary, VariableView } from '@/shared/views'
import { environmentLabel, useEnvironments } from '../use-environments'
import { useProject } from '../use-project'
import { AddVariables } from './add-variables'
import { VariableRow } from './variable-row'

/** True when a variable changed after the live deployment: the running app does not have it yet. */
const isAwaitingDeployment = (live: DeploymentSummary, variables: VariableView[]): boolean =>
  variables.some((variable) => variable.updatedAt > live.createdAt)

/** Shown after a change until the next deployment applies it. */
function TakesEffectLater({ live }: { live: DeploymentSummary }) {
  const { redeploy, pending } = useDeploy()
  return (
    <Notice
      icon={RotateCcw}
      className="mb-4"
      title="Your changes take effect with the next deployment."
      actions={
        <Button size="sm" variant="primary" pending={pending} onClick={() => redeploy(live, { environment: live.environment })}>
          <RotateCcw /> Redeploy
        </Button>
      }
    />
  )
}

/** Which environment's variables are shown: production, what all previews inherit, or a custom environment. */
function EnvironmentChoice({ environments, value }: { environments: EnvironmentView[]; value: string }) {
  const project = useProject()
  const router = useRouter()
  const choices = environments.filter(({ kind, template }) => kind !== 'preview' || template)
  return (
    <SelectField
      label="Environment"
      labelHidden
      value={value}
      onChange={(event) => router.push(paths.variables(project.slug, event.target.value || undefined))}
      className="w-48"
    >
      {choices.map((environment) => (
        <option key={environment.id} value={environment.kind === 'production' ? '' : environment.name}>
          {environmentLabel(environment)}
        </option>
      ))}
    </SelectField>
  )
}

/** Variables of an environment of the project. Values are write-only. */
export function Variables() {
  const environment = useSearchParams().get('environment') || undefined
  const environments = useEnvironments().data?.items ?? []
  const shown = environments.find(({ kind, name }) => (environment ? name === environment : kind === 'production'))
  return (
    <>
      <PageTitle
        title="Variables"
        description="Encrypted at rest and masked in logs. A value can be replaced, but never read again."
        actions={<EnvironmentChoice environments={environments} value={environment ?? ''} />}
      />
      <VariablesOfEnvironment key={environment ?? ''} name={environment} shown={shown} />
    </>
  )
}

function VariablesOfEnvironment({ name, shown }: { name: string | undefined; shown: EnvironmentView | undefined }) {
  const trpc = useTRPC()
  const project = useProject()
  const of = { project: project.id, environment: name }
  const variables = useQuery(trpc.variables.list.queryOptions(of))
  // The list does not show removed variables, so the page stores that a change was made.
  const [changed, setChanged] = useState(false)
  const list = variables.data?.items ?? []
  const live = shown?.liveDeployment ?? null
  const isWaiting = live !== null && (changed || isAwaitingDeployment(live, list))
  const counted = variables.data ? `${list.length} ${list.length === 1 ? 'variable' : 'variables'}` : 'Loading…'
  return (
    <>
      {isWaiting ? <TakesEffectLater live={live} /> : null}
      <RefusalNote action="variable.write" className="mb-4" />
      <Permitted action="variable.write">
        <AddVariables of={of} existing={list} onChanged={() => setChanged(true)} />
      </Permitted>
      {variables.error ? <ErrorPanel className="mt-6" error={wireErrorOf(variables.error)} /> : null}
      <Card className="mt-6">
        <CardHeader
          title={shown ? environmentLabel(shown) : (name ?? 'Production')}
          description={shown?.template ? `${counted}. Every preview has them from its next deployment on; none of production's.` : counted}
        />
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
                <VariableRow key={variable.key} of={of} variable={variable} onChanged={() => setChanged(true)} />
              ))}
            </ul>
          </Permitted>
        </div>
      </Card>
    </>
  )
}
