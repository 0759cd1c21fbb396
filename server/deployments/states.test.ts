import { expect, test } from 'vitest'
import {
  canMove,
  certificateTransitions,
  deploymentStatuses,
  deploymentTraits,
  deploymentTransitions,
  domainTransitions,
  instanceTransitions,
  runningDeploymentStatuses,
  stepTransitions,
} from '@/shared/states'
import { CertificateState, DeploymentStatus, DomainState, InstanceState, StepStatus } from '../database/generated/enums'

test.each([
  ['deployment', DeploymentStatus, deploymentTransitions],
  ['instance', InstanceState, instanceTransitions],
  ['certificate', CertificateState, certificateTransitions],
  ['domain', DomainState, domainTransitions],
  ['step', StepStatus, stepTransitions],
])('every status of a %s that the database knows is classified, and no other', (_, known, table) => {
  expect(Object.keys(table).sort()).toEqual(Object.keys(known).sort())
})

test('every transition leads to a status that exists', () => {
  for (const table of [deploymentTransitions, instanceTransitions, certificateTransitions, domainTransitions, stepTransitions])
    for (const targets of Object.values(table)) for (const target of targets) expect(Object.keys(table)).toContain(target)
})

test('a deployment that is not running has no way back into running', () => {
  for (const status of deploymentStatuses)
    if (!deploymentTraits[status].running)
      for (const running of runningDeploymentStatuses) expect(canMove(deploymentTransitions, status, running)).toBe(false)
})

test('only running deployments can be canceled, and every one of them can', () => {
  for (const status of deploymentStatuses) {
    expect(deploymentTraits[status].cancelable).toBe(deploymentTraits[status].running)
    expect(canMove(deploymentTransitions, status, 'CANCELED')).toBe(deploymentTraits[status].cancelable)
  }
})
