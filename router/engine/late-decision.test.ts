import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Admission, Gate } from '../gate/gate'
import type { Observer } from '../observe/observer'
import { OpenGate } from './contract/doubles'
import { useEngine } from './contract/harness'
import { hostTable, RawClient, rawOrigin, routeTo, until } from './contract/testing'
import { createHttpProxyEngine } from './http-proxy/engine'
import { createLeanEngine } from './lean'

const late = 'GET /late HTTP/1.1\r\nHost: app.test\r\n\r\n'
const first = 'GET /first HTTP/1.1\r\nHost: app.test\r\n\r\n'

describe.each([
  ['http-proxy, alone on its connection', createHttpProxyEngine, ''],
  ['http-proxy, behind another request', createHttpProxyEngine, first],
  ['lean', createLeanEngine, ''],
])('a decision that comes when its client has left: %s', (_name, createEngine, before) => {
  const { keep, engineTo } = useEngine(createEngine)
  test.each(['answer', 'problem'] as const)('%s: nothing is opened or asked for, and the request is told once', async (kind) => {
    const origin = await keep(rawOrigin(() => {}))
    const open = new OpenGate(hostTable([routeTo('app.test', [origin.target])]))
    const { promise, resolve } = Promise.withResolvers<Admission>()
    const seen = { asked: 0, opened: 0, problems: 0, ended: [] as string[] }
    const gate: Gate = {
      admit: (route, facts) => {
        if (facts.path !== '/late') return open.admit(route)
        seen.asked++
        return promise
      },
      admitUnknown: (facts) => open.admitUnknown(facts),
      problem: (problem, route, facts) => {
        seen.problems++
        return open.problem(problem, route, facts)
      },
    }
    const observer: Observer = { end: (request) => void seen.ended.push(`${request.describe().target} ${request.status}`), close: async () => {} }
    const { port } = await engineTo([origin.target], {}, { gate, observer })
    const client = await RawClient.connect(port)
    client.write(before + late)
    await until('the decision is asked for', () => seen.asked === 1)
    client.destroy()
    const expected = before === '' ? ['/late 0'] : ['/first 0', '/late 0']
    await until('the engine knows that the client left', () => seen.ended.length === expected.length)
    const body = {
      length: 5,
      open: () => {
        seen.opened++
        return Readable.from([Buffer.from('hello')])
      },
    }
    if (kind === 'problem') resolve({ kind, problem: { kind: 'forbidden', host: 'app.test' } })
    else resolve({ kind, answer: { status: 200, headers: [['Content-Length', '5']], body, cache: 'none', why: null } })
    await promise
    await new Promise((done) => setImmediate(done))
    expect(seen).toMatchObject({ opened: 0, problems: 0 })
    expect(seen.ended.toSorted()).toEqual(expected)
  })
})
