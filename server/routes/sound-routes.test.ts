import { expect, test } from 'vitest'
import type { Route } from '@/shared/route-table'
import { FoundProblems } from './problems'
import { routesThatFit, soundCertificates, soundRoutes } from './sound-routes'

const route = (host: string, more: Partial<Route> = {}): Route => ({
  host,
  teamId: 't1',
  projectId: 'p1',
  projectName: 'shop',
  deploymentId: null,
  state: 'live',
  targets: [],
  ...more,
})
const problemsOf = (problems: FoundProblems, project = 'p1') => problems.byProject().get(project)?.problems ?? []

test('what routers take is passed on as it is', () => {
  const problems = new FoundProblems()
  const routes = [route('shop.localhost'), route('*.shop.test'), route('shop.test')]
  expect(soundRoutes(routes, problems)).toEqual(routes)
  expect(problems.byProject().size).toBe(0)
})

test('a route that routers would refuse the table for is left out alone and named', () => {
  const problems = new FoundProblems()
  const routes = [
    route('a.test'),
    route('b.test', { state: 'dreaming' as Route['state'] }),
    route('c.test', { targets: [{ instanceId: 'i1', host: 'app', port: 80 }] }),
    route('two words'),
    route('MÜNCHEN.test'),
    route('xn--mnchen-3ya.test'),
  ]
  expect(soundRoutes(routes, problems)).toEqual([routes[0], routes[4]])
  const said = problemsOf(problems)
  expect(said.every(({ effect, nextAction }) => effect === 'left-out' && nextAction !== '')).toBe(true)
  expect(said.flatMap(({ hosts }) => hosts)).toEqual(['b.test', 'c.test', 'two words', 'xn--mnchen-3ya.test'])
})

test('a team with more addresses than its share loses those of old deployments first; others lose none', () => {
  const problems = new FoundProblems()
  const greedy = [
    route('shop.localhost', { deploymentId: 'd1' }),
    ...Array.from({ length: 100 }, (_, i) => route(`shop-d${i}.localhost`, { deploymentId: `d${i}` })),
    route('shop.test', { deploymentId: 'd1' }),
  ]
  const modest = route('blog.localhost', { teamId: 't2', projectId: 'p2' })
  const bytes = Buffer.byteLength(JSON.stringify(modest))
  const kept = routesThatFit([...greedy, modest], problems, 12 * bytes)
  expect(kept.length).toBeLessThan(13)
  expect(kept.map(({ host }) => host)).toEqual(expect.arrayContaining(['shop.localhost', 'shop.test', 'blog.localhost']))
  expect(problemsOf(problems)).toMatchObject([{ effect: 'left-out', message: expect.stringContaining('no room') }])
  expect(problemsOf(problems, 'p2')).toEqual([])
  expect(routesThatFit([...greedy, modest], new FoundProblems())).toHaveLength(103)
})

test('certificates are checked and bounded in the same way', () => {
  const problems = new FoundProblems()
  const certificate = (id: string, projectId: string, names: string[]) => ({ entry: { id, names, notAfter: 1 }, teamId: `t-${projectId}`, projectId })
  const own = certificate('a', 'p1', ['a.test'])
  const odd = certificate('x'.repeat(300), 'p2', ['b.test'])
  const many = certificate(
    'c',
    'p3',
    Array.from({ length: 1000 }, (_, i) => `${i}.test`),
  )
  expect(soundCertificates([own, odd, many], problems, 2000)).toEqual([own.entry])
  expect(problemsOf(problems)).toEqual([])
  expect(problemsOf(problems, 'p2')).toMatchObject([{ message: expect.stringContaining('record of a certificate is wrong'), hosts: ['b.test'] }])
  expect(problemsOf(problems, 'p3')).toMatchObject([{ message: expect.stringContaining('no room') }])
})

test('a hundred thousand routes are checked and measured in a moment', () => {
  const target = { instanceId: 'instance-of-twenty-c', host: '10.0.0.1', port: 3000 }
  const routes = Array.from({ length: 100_000 }, (_, i) => route(`app-${i}.test`, { targets: [target], teamId: `t${i % 100}` }))
  const problems = new FoundProblems()
  const begun = performance.now()
  expect(routesThatFit(soundRoutes(routes, problems), problems)).toHaveLength(100_000)
  expect(performance.now() - begun).toBeLessThan(5_000)
})
