/** The parent of all processes, over children that hang and crash on purpose; the routers of one test are real. */
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { SnapshotStore } from '@/router/table/snapshot'
import { copyOf } from '@/router/table/testing'
import { defaultProjectRules } from '@/shared/project-rules'
import { until } from './support/processes'
import { type SupervisedHome, supervisedHome } from './support/supervisor'

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return pid > 0
  } catch {
    return false
  }
}

async function running(home: SupervisedHome, node?: string, env?: Record<string, string>) {
  open.push(home)
  const supervisor = await home.start(node, env)
  const pids = async () => ({ first: await home.pid('router-0'), second: await home.pid('router-1'), control: await home.pid('control') })
  await until('all processes run', 20_000, async () => Object.values(await pids()).every(lives))
  return { supervisor, pids }
}

test.each(['hang', 'crash'] as const)(
  'a new version whose routers %s changes nothing: the old ones go on and are minded, and the next version replaces them',
  { timeout: 90_000 },
  async (fault) => {
    const home = await supervisedHome('scripted')
    const { supervisor, pids } = await running(home)
    const before = await pids()

    await home.behave(fault)
    supervisor.kill('SIGHUP')
    let failed = 0
    if (fault === 'hang')
      await until('the new router runs', 20_000, async () => {
        failed = (await pids()).first
        return failed !== before.first && lives(failed)
      })
    await until('it is given up', 40_000, () => home.output().includes('the new router-0 did not start: the old one goes on'))
    if (fault === 'hang') await until('what hung is gone', 10_000, () => !lives(failed))
    await until('the old one has its pid file back', 10_000, async () => (await pids()).first === before.first)
    expect(await pids()).toEqual(before)
    expect(Object.values(before).map(lives)).toEqual([true, true, true])

    await home.behave('ready')
    process.kill(before.first, 'SIGKILL')
    await until('the old router, which died, is started again', 20_000, async () => {
      const { first } = await pids()
      return first !== before.first && lives(first)
    })

    const middle = await pids()
    supervisor.kill('SIGHUP')
    await until('every process is a new one', 30_000, async () => {
      const now = await pids()
      return (Object.keys(now) as (keyof typeof now)[]).every((name) => now[name] !== middle[name] && lives(now[name]))
    })
    const last = Object.values(await pids())
    await home.close()
    expect(last.filter(lives)).toEqual([])
  },
)

test('a process that cannot be started for a while is started when it can be, and a stop waits for none that never was', {
  timeout: 90_000,
}, async () => {
  const home = await supervisedHome('scripted')
  const node = path.join(path.dirname(home.home), 'node')
  const away = () => rename(node, `${node}.away`)
  const back = () => rename(`${node}.away`, node)
  await copyFile(process.execPath, node)
  const { supervisor, pids } = await running(home, node)
  const before = await pids()

  await away()
  process.kill(before.first, 'SIGKILL')
  await until('it is tried again and again', 20_000, () => home.output().split('router-0 ended').length > 3)
  await back()
  await until('it runs again', 20_000, async () => {
    const { first } = await pids()
    return first !== before.first && lives(first)
  })

  await away()
  process.kill((await pids()).first, 'SIGKILL')
  await until('it cannot be started', 20_000, async () => !lives((await pids()).first))
  const left = await pids()
  const ended = new Promise((resolve) => supervisor.once('exit', resolve))
  supervisor.kill('SIGTERM')
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(() => resolve('hangs'), 10_000))])).toBe(0)
  expect([left.second, left.control].filter(lives)).toEqual([])
})

test('a process that hangs is ended and replaced, the log says what it seemed to do, and the others go on', { timeout: 90_000 }, async () => {
  const home = await supervisedHome('scripted')
  const { pids } = await running(home, undefined, { SWITCHYARD_HANG_SECONDS: '2' })
  const before = await pids()
  process.kill(before.control, 'SIGSTOP')
  process.kill(before.first, 'SIGSTOP')
  await until('both are replaced', 40_000, async () => {
    const { control, first } = await pids()
    return control !== before.control && lives(control) && first !== before.first && lives(first)
  })
  expect((await pids()).second).toBe(before.second)
  for (const name of ['control', 'router-0'])
    expect(home.output()).toContain(`${name} has not answered for 2 s: it was stopped by a signal or a debugger. It is ended and replaced`)
  expect(home.output()).not.toContain('router-1 has not answered')
})

test('secrets of the start are in the environment of no process, the supervisor included, and nothing of them stays on disk', {
  timeout: 60_000,
}, async () => {
  const home = await supervisedHome('scripted')
  const canary = 'canary-of-the-start'
  const database = `postgres://nobody:${canary}@127.0.0.1:1/none`
  const account = { SWITCHYARD_BOOTSTRAP_EMAIL: 'a@example.org', SWITCHYARD_BOOTSTRAP_PASSWORD: canary, SWITCHYARD_BOOTSTRAP_API_KEY: canary }
  const { supervisor, pids } = await running(home, undefined, { ...account, DATABASE_URL: database, SOME_TOKEN: canary })
  const environmentOf = (pid: number) => readFile(`/proc/${pid}/environ`, 'utf8')
  const { control, first, second } = await pids()
  for (const router of [first, second]) expect(await environmentOf(router)).not.toContain(canary)
  // What the platform does not know stays with the processes that may hand it to builds or engines.
  for (const pid of [supervisor.pid ?? 0, control]) {
    const text = await environmentOf(pid)
    expect(text).toContain('SOME_TOKEN=')
    expect(text.replace(`SOME_TOKEN=${canary}`, '')).not.toContain(canary)
  }
  await until('the control process has them', 10_000, () => home.output().includes(`told ${database}`))
  expect((await readdir(path.join(home.home, 'run'))).filter((name) => name.startsWith('start-'))).toEqual([])
  process.kill(control, 'SIGKILL')
  await until('so has the next one', 20_000, () => home.output().split(`told ${database}`).length === 3)
})

test.each([
  ['EDGE_HTTP_PORT', (home: SupervisedHome) => home.edgePort],
  ['PORT', (home: SupervisedHome) => home.port],
] as const)(
  'a platform whose %s another program has, sharing it or not, says so and starts nothing',
  { timeout: 60_000 },
  async (setting, portOf) => {
    const home = await supervisedHome('scripted')
    open.push(home)
    const other = http.createServer()
    await new Promise<void>((resolve) => other.listen({ port: portOf(home), reusePort: true }, resolve))
    open.push({ close: () => new Promise((resolve) => other.close(resolve)) })
    const supervisor = await home.start()
    expect(await new Promise((resolve) => supervisor.once('close', resolve))).toBe(78)
    expect(home.output()).toContain(`Already in use: ${setting} ${portOf(home)}.`)
    expect([await home.pid('router-0'), await home.pid('control')]).toEqual([0, 0])
  },
)

test('HTTPS whose preset port another program has is done without, and served once that port is free', { timeout: 90_000 }, async () => {
  const home = await supervisedHome('real')
  open.push(home)
  const preset = 8443
  const other = http.createServer()
  const taken = await new Promise<boolean>((resolve) =>
    other.once('error', () => resolve(false)).listen({ port: preset, reusePort: true }, () => resolve(true)),
  )
  const supervisor = await home.start(undefined, { EDGE_HTTPS_PORT: '' })
  await until('it is said', 30_000, () => home.output().includes(`HTTPS is not served: port ${preset} is in use`))
  expect(supervisor.exitCode).toBeNull()
  await until('routers serve HTTP', 30_000, () => home.output().includes('"httpsPort":null'))
  if (!taken) return
  await new Promise((resolve) => other.close(resolve))
  await until('they serve HTTPS too', 60_000, () => home.output().includes(`"httpsPort":${preset}`))
})

test('a pid file that cannot be written costs nobody anything: not the parent either', { timeout: 60_000 }, async () => {
  const home = await supervisedHome('scripted')
  const { supervisor, pids } = await running(home)
  const before = await pids()
  const file = path.join(home.home, 'run/router-0.pid')
  await rm(file)
  await mkdir(file)
  process.kill(before.first, 'SIGKILL')
  await until('it is started again, and what is wrong is said', 20_000, () => home.output().includes('router-0: its pid file cannot be written'))
  await rm(file, { recursive: true })
  process.kill(before.second, 'SIGKILL')
  await until('the parent goes on', 20_000, async () => {
    const { second } = await pids()
    return second !== before.second && lives(second)
  })
  expect(supervisor.exitCode).toBeNull()
})

test('a visitor who comes over connections to every router gets what the limit says, not as much from each', { timeout: 60_000 }, async () => {
  const requests = 100
  const app = http.createServer((_req, res) => res.end('app'))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  open.push({ close: () => new Promise((resolve) => app.close(resolve)) })
  const home = await supervisedHome('real')
  const runDirectory = path.join(home.home, 'run')
  await mkdir(runDirectory, { recursive: true, mode: 0o700 })
  const target = { instanceId: 'i', host: '127.0.0.1', port: (app.address() as AddressInfo).port }
  const policy = { ...defaultProjectRules, rateLimits: [{ source: '/(.*)', requests, windowSeconds: 3600 }] }
  const route = { host: 'app.test', teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const }
  const copy = copyOf({
    version: 1,
    generatedAt: new Date().toISOString(),
    dashboardUrl: 'http://localhost:3000',
    routes: [{ ...route, targets: [target], policy: 'p' }],
    policies: { p: policy },
  })
  await new SnapshotStore(runDirectory).save(copy)
  await running(home)

  const visit = () =>
    new Promise<number>((resolve, reject) => {
      const ask = http.get({ host: '127.0.0.1', port: home.edgePort, headers: { host: 'app.test' }, agent: false }, (res) => {
        res.resume().once('end', () => resolve(res.statusCode ?? 0))
      })
      ask.once('error', reject)
    })
  let allowed = 0
  let refusedInARow = 0
  await until('nobody is let in by any router', 30_000, async () => {
    const status = await visit()
    if (status === 200) allowed++
    refusedInARow = status === 429 ? refusedInARow + 1 : 0
    return refusedInARow >= 40
  })
  // Each alone would have given all of them.
  expect(allowed).toBeGreaterThanOrEqual(requests)
  expect(allowed).toBeLessThan(requests * 1.5)
})
