import http2 from 'node:http2'
import { expect, onTestFinished, test } from 'vitest'
import type { Admission, AnswerFilter, Gate, RequestFacts } from '../../gate/gate'
import { OpenGate } from '../contract/doubles'
import { plan } from '../contract/scripted'
import { hostTable, httpOrigin, openServices, quietLog, routeTo, testLimits, until } from '../contract/testing'
import { createLeanEngine } from '../lean'

test('a decision on a request whose client left never sees another request, and what it planned is let go of', async () => {
  const origin = await httpOrigin((_req, res) => void res.end('ok'))
  onTestFinished(() => origin.close())
  const table = hostTable([routeTo('app.test', [origin.target])])
  const open = new OpenGate(table)
  const asked: RequestFacts[] = []
  const goOn = Promise.withResolvers<void>()
  const { promise, resolve } = Promise.withResolvers<Admission>()
  const gate: Gate = {
    admit(route, facts) {
      asked.push(facts)
      return facts.path === '/slow' ? promise : goOn.promise.then(() => open.admit(route))
    },
    admitUnknown: (facts) => open.admitUnknown(facts),
    problem: (problem, route, facts) => open.problem(problem, route, facts),
  }
  const engine = createLeanEngine({ limits: testLimits, table, log: quietLog, ...openServices(table), gate })
  onTestFinished(() => engine.close())
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  onTestFinished(() => session.destroy())
  const slow = session.request({ ':authority': 'app.test', ':path': '/slow' })
  slow.on('error', () => {})
  await until('it is asked', () => asked.length === 1)
  slow.close(http2.constants.NGHTTP2_CANCEL)
  const next = session.request({ ':authority': 'app.test', ':path': '/next' })
  await until('the next is asked', () => asked.length === 2)
  expect(asked.map(({ path }) => path)).toEqual(['/slow', '/next'])
  goOn.resolve()
  await new Promise((done) => next.on('end', done).resume())
  let aborted = 0
  const filter: AnswerFilter = { cache: 'none', onHead: () => null, abort: () => void aborted++ }
  const route = table.find('app.test')
  if (!route) throw new Error('no route')
  resolve(plan(route, { filter }))
  await until('the plan is let go of', () => aborted === 1)
})
