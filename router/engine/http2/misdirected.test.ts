import http2 from 'node:http2'
import { afterEach, describe, expect, test } from 'vitest'
import { testAuthority, testTls } from '../../tls/testing'
import { useEngine } from '../contract/harness'
import { httpOrigin, routeTo } from '../contract/testing'
import { createLeanEngine } from '../lean'

describe('one HTTP/2 connection for several hosts of a certificate', () => {
  const { keep, engineWith } = useEngine(createLeanEngine)
  const sessions: http2.ClientHttp2Session[] = []
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy()
  })

  const status = (session: http2.ClientHttp2Session, authority: string) =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':authority': authority, ':path': '/' })
      stream.on('response', (headers) => resolve(headers[':status']))
      stream.on('error', reject)
      stream.resume()
    })

  test('serves those of one project and answers 421 for those of another, which the browser then asks anew', async () => {
    const origin = await keep(httpOrigin((_req, res) => void res.end('ok')))
    const authority = await testAuthority()
    const certificates = [await authority.issue(['*.apps.test'])]
    const { edge } = await keep(testTls({ certificates }))
    const { engine } = await engineWith([
      routeTo('shop.apps.test', [origin.target]),
      routeTo('www.apps.test', [origin.target]),
      routeTo('blog.apps.test', [origin.target], { projectId: 'another' }),
    ])
    const { port } = await engine.listen({ host: '127.0.0.1', port: 0, reusePort: false, tls: edge })
    const session = http2.connect(`https://127.0.0.1:${port}`, { servername: 'Shop.apps.test', ca: authority.certificatePem })
    session.on('error', () => {})
    sessions.push(session)
    expect(await status(session, 'shop.apps.test')).toBe(200)
    expect(await status(session, 'blog.apps.test')).toBe(421)
    expect(await status(session, `www.apps.test:${port}`)).toBe(200)
    expect(await status(session, 'shop.apps.test')).toBe(200)
  })
})
