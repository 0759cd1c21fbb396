import { expect, test } from 'vitest'
import { parseRouterEnv } from './env'

test('the defaults are those of the contract', () => {
  expect(parseRouterEnv({}, true)).toMatchObject({
    home: '/var/lib/switchyard',
    httpPort: 8080,
    httpsPort: 8443,
    host: '::',
    engine: 'lean',
    workerId: 0,
    controlSocket: '/var/lib/switchyard/run/edge.sock',
  })
  expect(parseRouterEnv({}, false).home).toMatch(/\/\.switchyard$/)
})

test('every problem is listed at once', () => {
  const wrong = { EDGE_HTTP_PORT: 'x', EDGE_ENGINE: 'magic', SWITCHYARD_HOME: 'relative', EDGE_CONNECT_TIMEOUT_MS: '0' }
  expect(() => parseRouterEnv(wrong, false)).toThrow(
    /4 setting\(s\)[\s\S]*SWITCHYARD_HOME[\s\S]*EDGE_HTTP_PORT[\s\S]*EDGE_ENGINE[\s\S]*EDGE_CONNECT_TIMEOUT_MS/,
  )
})

test('an address that is none in TRUSTED_PROXIES is refused', () => {
  expect(parseRouterEnv({ TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' }, true).trustedProxies).toEqual(['127.0.0.1', '10.0.0.0/8'])
  expect(() => parseRouterEnv({ TRUSTED_PROXIES: '10.0.0.0/64' }, true)).toThrow(/TRUSTED_PROXIES/)
})

test('an empty value means the default', () => {
  expect(parseRouterEnv({ EDGE_HTTP_PORT: '', EDGE_ENGINE: '' }, true)).toMatchObject({ httpPort: 8080, engine: 'lean' })
})

test('port 0 turns HTTPS off', () => {
  expect(parseRouterEnv({ EDGE_HTTPS_PORT: '0' }, true).httpsPort).toBeNull()
})
