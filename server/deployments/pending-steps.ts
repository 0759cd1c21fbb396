import type { DeploymentKind } from '@/server/database/generated/client'
import type { BuildPlan } from '@/shared/build-plan'
import { type DeploymentStatus, deploymentTraits } from '@/shared/states'
import type { PendingStepView } from '@/shared/views'

/** Remaining steps of a deployment in order, each with a description; empty when the deployment is live or ended. */
export function pendingSteps(kind: DeploymentKind, status: DeploymentStatus, begun: readonly string[], plan: BuildPlan | null): PendingStepView[] {
  if (!deploymentTraits[status].running) return []
  const all = kind === 'BUILD' ? expectedSteps(plan) : switchSteps(kind, plan)
  const last = all.findLastIndex(({ name }) => begun.includes(name))
  return all.slice(last + 1)
}

/** Expected steps; without a build plan, only the steps common to all deployments. */
function expectedSteps(plan: BuildPlan | null): PendingStepView[] {
  return [
    { name: 'source', detail: 'Fetch the source' },
    { name: 'detect', detail: 'Find out how to build it' },
    ...(plan ? buildSteps(plan) : [{ name: 'build', detail: null }]),
    ...switchSteps('BUILD', plan),
  ]
}

/** Steps from an existing artifact to live traffic. */
function switchSteps(kind: DeploymentKind, plan: BuildPlan | null): PendingStepView[] {
  const start = kind === 'ROLLBACK' ? 'Wake the version, or start it' : 'Start an instance'
  return [
    { name: kind === 'ROLLBACK' ? 'wake' : 'start', detail: plan?.staticSite ? 'Publish the files' : start },
    { name: 'health', detail: `GET ${plan?.healthCheckPath ?? '/'} until it answers` },
    { name: 'cutover', detail: 'Send visitors to the new version' },
  ]
}

function buildSteps(plan: BuildPlan): PendingStepView[] {
  if (plan.framework === 'dockerfile') return [{ name: 'build', detail: plan.dockerfile }]
  const names = [...new Set(plan.commands.map(({ step }) => step))]
  const first = (name: string) => plan.commands.find(({ step }) => step === name)?.command ?? null
  return [...names.map((name) => ({ name, detail: first(name) })), { name: 'package', detail: 'Keep the result as an artifact' }]
}
