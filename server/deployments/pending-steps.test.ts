import { expect, it } from 'vitest'
import type { BuildPlan } from '@/shared/build-plan'
import { pendingSteps } from './pending-steps'

const plan = {
  framework: 'nextjs',
  commands: [
    { step: 'install', command: 'npm ci' },
    { step: 'build', command: 'npm run build' },
    { step: 'build', command: 'finish' },
  ],
  healthCheckPath: '/ready',
} as unknown as BuildPlan

const names = (...given: Parameters<typeof pendingSteps>) => pendingSteps(...given).map(({ name }) => name)

it('a running deployment says which steps are to come and what each will do', () => {
  expect(names('BUILD', 'PENDING', [], null)).toEqual(['source', 'detect', 'build', 'start', 'health', 'cutover'])
  expect(pendingSteps('BUILD', 'BUILDING', ['source', 'detect'], plan)).toMatchObject([
    { name: 'install', detail: 'npm ci' },
    { name: 'build', detail: 'npm run build' },
    { name: 'package' },
    { name: 'start' },
    { name: 'health', detail: 'GET /ready until it answers' },
    { name: 'cutover' },
  ])
  expect(names('BUILD', 'DEPLOYING', ['source', 'detect', 'start', 'health'], plan)).toEqual(['cutover'])
})

it('a step that was skipped, and those of a deployment that has ended, are not announced', () => {
  expect(names('BUILD', 'BUILDING', ['source', 'detect', 'prepare', 'package'], plan)).toEqual(['start', 'health', 'cutover'])
  expect([names('BUILD', 'ACTIVE', ['source'], plan), names('BUILD', 'FAILED', ['source'], plan)]).toEqual([[], []])
})

it('a rollback announces that it wakes a version, and no build', () => {
  expect(names('ROLLBACK', 'PENDING', [], plan)).toEqual(['wake', 'health', 'cutover'])
  expect(names('RESTART', 'DEPLOYING', ['start'], plan)).toEqual(['health', 'cutover'])
})
