import { randomBytes } from 'node:crypto'
import { startBind } from '@/test/support/bind'
import { describeDnsProvider } from './contract'
import { createRfc2136 } from './rfc2136'

const zone = 'example.test'

describeDnsProvider('RFC 2136', async () => {
  const server = await startBind(zone)
  return {
    zone,
    provider: (overrides) =>
      createRfc2136({
        server: '127.0.0.1',
        port: server.port,
        keyName: 'acme',
        keySecret: overrides?.wrongCredentials ? randomBytes(32).toString('base64') : server.keySecret,
        allowPrivateNetwork: true,
      }),
    shown: server.txt,
    close: server.close,
  }
})
