import { afterAll, beforeAll, expect, it } from 'vitest'
import { createGitWorld } from '@/test/support/git-events'

let world: Awaited<ReturnType<typeof createGitWorld>>
beforeAll(async () => {
  world = await createGitWorld()
})
afterAll(() => world.close())

it('10,000 deliveries, a third repeated and in any order, end in one deployment of each head', async () => {
  const { heads, distinct, recorded, deployments, acknowledgedMs } = await world.storm({ deliveries: 10_000, repeated: 0.3, senders: 8 })
  const sorted = acknowledgedMs.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0)
  console.log(`acknowledged: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(0.9999)} ms; ${deployments.length} deployments queued`)
  expect(recorded).toBe(distinct)
  const waiting = deployments.filter(({ status }) => status === 'PENDING').map(({ branch, commitSha }) => [branch, commitSha])
  expect(waiting).toHaveLength(2)
  expect(Object.fromEntries(waiting)).toEqual({ main: heads.main, next: heads.next })
  expect(new Set(deployments.map(({ commitSha }) => commitSha)).size).toBe(deployments.length)
})
