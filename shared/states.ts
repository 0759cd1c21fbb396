/**
 * The transitions of each state machine, used by the server that updates rows and by the dashboard that shows buttons. `states.test.ts` checks
 * that every status of the database is listed here.
 */

type Machine<S extends string> = Readonly<Record<S, readonly S[]>>

/** `DEPLOYING` is the crash marker: it is written before the first side effect on the runtime. A rollback or restart builds nothing: it skips BUILDING. */
export const deploymentTransitions = {
  PENDING: ['BUILDING', 'DEPLOYING', 'FAILED', 'CANCELED'],
  BUILDING: ['DEPLOYING', 'FAILED', 'CANCELED'],
  DEPLOYING: ['ACTIVE', 'FAILED', 'CANCELED'],
  ACTIVE: ['SUPERSEDED', 'ROLLED_BACK'],
  SUPERSEDED: [],
  ROLLED_BACK: [],
  FAILED: [],
  CANCELED: [],
} as const satisfies Machine<string>
export type DeploymentStatus = keyof typeof deploymentTransitions
export const deploymentStatuses = Object.keys(deploymentTransitions) as [DeploymentStatus, ...DeploymentStatus[]]

/** What users can do with a deployment in each status, and how the status looks. */
export const deploymentTraits: Readonly<
  Record<DeploymentStatus, { running: boolean; cancelable: boolean; live: boolean; tone: 'neutral' | 'progress' | 'good' | 'bad'; label: string }>
> = {
  PENDING: { running: true, cancelable: true, live: false, tone: 'progress', label: 'Queued' },
  BUILDING: { running: true, cancelable: true, live: false, tone: 'progress', label: 'Building' },
  DEPLOYING: { running: true, cancelable: true, live: false, tone: 'progress', label: 'Deploying' },
  ACTIVE: { running: false, cancelable: false, live: true, tone: 'good', label: 'Live' },
  SUPERSEDED: { running: false, cancelable: false, live: false, tone: 'neutral', label: 'Superseded' },
  ROLLED_BACK: { running: false, cancelable: false, live: false, tone: 'neutral', label: 'Rolled back' },
  FAILED: { running: false, cancelable: false, live: false, tone: 'bad', label: 'Failed' },
  CANCELED: { running: false, cancelable: false, live: false, tone: 'neutral', label: 'Canceled' },
}
export const runningDeploymentStatuses = deploymentStatuses.filter((s) => deploymentTraits[s].running)

export const instanceTransitions = {
  starting: ['healthy', 'unhealthy', 'stopped'],
  healthy: ['unhealthy', 'draining', 'sleeping', 'stopped'],
  unhealthy: ['healthy', 'draining', 'stopped'],
  draining: ['stopped', 'sleeping', 'starting'],
  sleeping: ['healthy', 'unhealthy', 'starting', 'draining', 'stopped'],
  stopped: [],
} as const satisfies Machine<string>
export type InstanceState = keyof typeof instanceTransitions
export const instanceStates = Object.keys(instanceTransitions) as [InstanceState, ...InstanceState[]]

export const certificateTransitions = {
  pending: ['issuing', 'failed'],
  issuing: ['active', 'failed'],
  active: ['renewing', 'failed'],
  renewing: ['active', 'failed'],
  failed: ['issuing', 'renewing'],
} as const satisfies Machine<string>
export type CertificateState = keyof typeof certificateTransitions

export const domainTransitions = {
  unverified: ['verified', 'misconfigured'],
  verified: ['misconfigured', 'unverified'],
  misconfigured: ['verified', 'unverified'],
} as const satisfies Machine<string>
export type DomainState = keyof typeof domainTransitions

/** A step of a deployment: recorded as `running` before its side effect. */
export const stepTransitions = {
  running: ['done', 'failed', 'canceled', 'interrupted'],
  done: [],
  failed: [],
  canceled: [],
  interrupted: [],
} as const satisfies Machine<string>
export type StepStatus = keyof typeof stepTransitions

/** Whether `machine` allows `from → to`. Staying in the same state is not a transition. */
export function canMove<S extends string>(machine: Machine<S>, from: S, to: S): boolean {
  return (machine[from] as readonly string[]).includes(to)
}
