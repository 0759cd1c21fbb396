import { expect, onTestFinished, test } from 'vitest'
import { shakeHands, testAuthority, testTls } from '../../tls/testing'
import { hostTable, httpOrigin, openServices, quietLog, routeTo, testLimits, until } from '../contract/testing'
import { createLeanEngine } from '../lean'

const block = Buffer.alloc(20_000_000)

test('over TLS too, a client that takes nothing is given up by a reset', async () => {
  const authority = await testAuthority()
  const edge = await testTls({ certificates: [await authority.issue(['app.test'])] })
  const origin = await httpOrigin((_req, res) => res.end(block))
  const table = hostTable([routeTo('app.test', [origin.target])])
  const engine = createLeanEngine({ limits: { ...testLimits, clientIdleTimeoutMs: 500 }, table, log: quietLog, ...openServices(table) })
  onTestFinished(async () => {
    await engine.close()
    await edge.close()
    await origin.close()
  })
  const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, tls: edge.edge })
  const { socket } = await shakeHands(port, 'app.test', { ca: authority.certificatePem })
  const errors: string[] = []
  socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  await until('it is in flight', () => engine.inFlight(['app']).app === 1)
  await until('it is given up', () => engine.inFlight(['app']).app === 0)
  socket.resume()
  await until('the client hears of it', () => socket.closed)
  expect(errors).toContain('ECONNRESET')
})
