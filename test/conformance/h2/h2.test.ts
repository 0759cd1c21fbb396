import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { conformanceCases } from './cases'
import { engineServer, nodeServer, type Server, sessionServer } from './servers'

describe.each([
  ['the session alone', sessionServer],
  ['the engine before an instance', engineServer],
])('HTTP/2 conformance of %s: the cases of h2spec', (_what, start) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.close())

  test('there are as many as h2spec has', () => {
    expect(conformanceCases.length).toBe(146)
  })

  test.each(conformanceCases.map((one) => [`${one.section}: ${one.title}`, one] as const))('%s', async (_name, one) => {
    await one.run(server.port)
  })
})

describe('HTTP/2 conformance: Node’s own server, to compare', () => {
  test('fails where ours does not', { timeout: 120_000 }, async () => {
    const server = await nodeServer()
    const failures: string[] = []
    for (const one of conformanceCases)
      await one.run(server.port).catch((error: Error) => failures.push(`${one.section}: ${one.title}: ${error.message}`))
    await server.close()
    console.log(
      `node:http2 on Node ${process.version}: ${conformanceCases.length - failures.length} of ${conformanceCases.length}\n${failures.join('\n')}`,
    )
    // 138 on Node 20, 136 on 24 by h2spec itself: far fewer would mean that the cases are wrong.
    expect(conformanceCases.length - failures.length).toBeGreaterThan(130)
  })
})
