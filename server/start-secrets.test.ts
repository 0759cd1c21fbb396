import { expect, test } from 'vitest'
import { controlStart, routerEnvironment, secretNames } from './start-secrets'

const environment = {
  PATH: '/bin',
  SWITCHYARD_HOME: '/h',
  EDGE_HTTP_PORT: '80',
  ROUTER_WORKER_ID: '1',
  TRUSTED_PROXIES: '10.0.0.0/8',
  NODE_ENV: 'production',
  AWS_SECRET_ACCESS_KEY: 'of the shell it was started from',
  ...Object.fromEntries(secretNames.map((name) => [name, `canary ${name}`])),
}

test('a router is told its settings, and no secret nor anything else of the environment', () => {
  expect(Object.keys(routerEnvironment(environment)).sort()).toEqual([
    'EDGE_HTTP_PORT',
    'NODE_ENV',
    'PATH',
    'ROUTER_WORKER_ID',
    'SWITCHYARD_HOME',
    'TRUSTED_PROXIES',
  ])
})

test('the control process gets every secret by message and none by its environment', () => {
  const { environment: rest, message } = controlStart(environment)
  expect(JSON.stringify(rest)).not.toContain('canary')
  expect(message.values).toEqual(Object.fromEntries(secretNames.map((name) => [name, `canary ${name}`])))
  expect({ ...rest, ...message.values }).toMatchObject(environment)
})
