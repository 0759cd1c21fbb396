import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, vi } from 'vitest'
import { completeEnvironment, controlStart, reExecWithoutSecrets, routerEnvironment, secretNames } from './start-secrets'

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

test('a control process whose supervisor has gone does not start without the secrets, on a database of its own', async () => {
  const { environment: rest } = controlStart(environment)
  const connected = process.connected
  process.connected = false
  await expect(completeEnvironment(rest)).rejects.toThrow('the supervisor ended')
  process.connected = true
  const others = process.listeners('disconnect')
  const started = completeEnvironment(rest)
  const [onLost] = process.listeners('disconnect').filter((listener) => !others.includes(listener))
  onLost?.()
  process.off('disconnect', onLost ?? (() => {}))
  await expect(started).rejects.toThrow('the supervisor ended')
  process.connected = connected
  // Started by hand it has its settings in its environment.
  expect(await completeEnvironment(environment)).toEqual(environment)
})

test('a process is replaced once, also when its secrets come back each time it starts', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'start-secrets-'))
  await mkdir(path.join(home, 'run'))
  const { channel } = process
  Object.defineProperty(process, 'channel', { value: undefined, configurable: true })
  const { execve } = process
  const replaced = vi.fn<(...given: unknown[]) => void>()
  Object.defineProperty(process, 'execve', { value: replaced, configurable: true })
  try {
    await reExecWithoutSecrets(home, { ...environment, SWITCHYARD_HANDED_OVER: 'a key' })
    expect(replaced).not.toHaveBeenCalled()
    expect(await readdir(path.join(home, 'run'))).toEqual([])
    await reExecWithoutSecrets(home, environment)
    expect(replaced).toHaveBeenCalledOnce()
    expect(JSON.stringify(replaced.mock.calls)).not.toContain('canary')
    // Of a process that was killed before it read the file, and of one that is starting.
    for (const name of ['start-999999999', `start-${process.ppid}`, 'edge.sock']) await writeFile(path.join(home, 'run', name), 'sealed')
    await reExecWithoutSecrets(home, {})
    expect((await readdir(path.join(home, 'run'))).sort()).toEqual(['edge.sock', `start-${process.pid}`, `start-${process.ppid}`].sort())
  } finally {
    Object.defineProperty(process, 'channel', { value: channel, configurable: true })
    Object.defineProperty(process, 'execve', { value: execve, configurable: true })
    await rm(home, { recursive: true })
  }
})
