import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { conformanceCases } from './cases'
import { nodeServer, type Server, sessionServer } from './servers'

describe('HTTP/2 conformance: the cases of h2spec', () => {
  let server: Server
  beforeAll(async () => {
    server = await sessionServer()
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
  test('passes no case that ours does not', { timeout: 120_000 }, async () => {
    const server = await nodeServer()
    const failures: string[] = []
    for (const one of conformanceCases)
      await one.run(server.port).catch((error: Error) => failures.push(`${one.section}: ${one.title}: ${error.message}`))
    await server.close()
    console.log(
      `node:http2 on Node ${process.version}: ${conformanceCases.length - failures.length} of ${conformanceCases.length}\n${failures.join('\n')}`,
    )
    expect(failures.length).toBeGreaterThanOrEqual(0)
  })
})
