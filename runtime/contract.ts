import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { defaultMaxHeaderBytes } from '@/shared/header-limits'
import { type Artifact, defaultHealthCheck, type ResourceLimits } from '@/shared/release'
import type { InstanceOwner, InstanceSpec, ObservedInstance, RuntimeDriver } from './driver'
import { probe } from './probe'
import { call, collect, eventually, newTestId } from './testing/calls'

const mebibyte = 1024 * 1024

export interface ContractSetup {
  artifact: Artifact
  /** A driver on the same home and engine, with this installation id. A second call simulates the next control process. */
  driver(installationId: string): Promise<RuntimeDriver>
  /** Names of processes, containers and networks of this installation that still exist. */
  leftovers(installationId: string): Promise<string[]>
  /** Whether `pid`, as seen by the app, still runs. */
  strayAlive(pid: number): Promise<boolean>
  cleanUp(): Promise<void>
}

export interface ContractOptions {
  /** False without root: processes of an app cannot be counted. */
  processLimit?: boolean
  /** False without root: instances share `/tmp`. */
  privateFiles?: boolean
  /** False without root: apps can reach each other's ports. */
  isolated?: boolean
}

export interface Fixture {
  readonly driver: RuntimeDriver
  readonly installationId: string
  readonly artifact: Artifact
  spec(part?: Partial<Omit<InstanceSpec, 'owner'>> & { owner?: Partial<InstanceOwner> }): InstanceSpec
  /** Starts an instance and waits until it responds. */
  up(part?: Parameters<Fixture['spec']>[0]): Promise<ObservedInstance>
}

/** The tests that every driver must pass. `more` adds tests of a single driver with the same fixture. */
export function runtimeContract(
  name: string,
  setUp: () => Promise<ContractSetup>,
  more: (fixture: Fixture) => void = () => {},
  options: ContractOptions = {},
): void {
  describe(name, () => {
    const installationId = `test${newTestId()}`
    let setup: ContractSetup
    let driver: RuntimeDriver
    const fixture: Fixture = {
      installationId,
      get driver() {
        return driver
      },
      get artifact() {
        return setup.artifact
      },
      spec: ({ owner, ...part } = {}) => ({
        artifact: setup.artifact,
        env: {},
        limits: { memoryBytes: 256 * mebibyte, cpus: 1, pids: 128 } satisfies ResourceLimits,
        maxHeaderBytes: defaultMaxHeaderBytes,
        ...part,
        owner: {
          installationId,
          teamId: 'team1',
          projectId: 'project1',
          projectSlug: 'shop',
          environmentId: 'env1',
          deploymentId: 'deploy1',
          instanceId: newTestId(),
          slot: 'blue',
          ...owner,
        },
      }),
      async up(part) {
        const spec = fixture.spec(part)
        const instance = await driver.start(spec)
        const result = await probe(instance.address ?? { host: 'none', port: 0 }, defaultHealthCheck, {
          stillRunning: async () => (await driver.inspect(spec.owner.instanceId))?.state === 'running',
        })
        expect(result.reason).toBeNull()
        return instance
      },
    }

    beforeAll(async () => {
      setup = await setUp()
      driver = await setup.driver(installationId)
    })
    afterEach(async () => {
      for (const { owner } of await driver.list()) await driver.stop(owner.instanceId, 0)
      for (const projectId of ['project1', 'project2']) await driver.removeProject(projectId)
    })
    afterAll(async () => {
      try {
        expect(await setup.leftovers(installationId)).toEqual([])
      } finally {
        await driver?.close()
        await setup?.cleanUp()
      }
    })

    lifecycle(fixture, () => setup)
    logs(fixture)
    limits(fixture, options)
    files(fixture, options)
    isolation(fixture, options)
    more(fixture)
  })
}

function lifecycle(fixture: Fixture, setup: () => ContractSetup): void {
  describe('lifecycle', () => {
    it('starts an instance that answers at its address, with its environment and no other', async () => {
      const instance = await fixture.up({ env: { GREETING: 'hello "world" $HOME `id`\nsecond line' } })
      expect(instance).toMatchObject({ state: 'running', exit: null })
      expect((await call(instance, 'env', { name: 'GREETING' })).value).toBe('hello "world" $HOME `id`\nsecond line')
      const env = await call(instance, 'allEnv')
      expect(env).toMatchObject({ NODE_ENV: 'production', PORT: String(instance.address?.port) })
      expect(Object.keys(env).filter((key) => /DATABASE_URL|SECRET|TEST_|VITEST/.test(key))).toEqual([])
    })

    it('hands variables to the app and to no process before it, which would be outside of its limits', async () => {
      const instance = await fixture.up({ env: { LD_PRELOAD: '/nonexistent/preloaded.so' } })
      // The loader prints a complaint in each process that reads the variable.
      const complaints = async () => (await collect(fixture.driver.logs(instance.owner.instanceId))).filter((line) => /LD_PRELOAD/.test(line.text))
      expect(await eventually('the loader', async () => ((await complaints()).length > 0 ? await complaints() : null))).toHaveLength(1)
    })

    it('gives an instance once, however often it is started', async () => {
      const spec = fixture.spec()
      const [first, second] = await Promise.all([fixture.driver.start(spec), fixture.driver.start(spec)])
      const third = await fixture.driver.start(spec)
      expect(second.address).toEqual(first.address)
      expect(third.address).toEqual(first.address)
      expect(await fixture.driver.list()).toHaveLength(1)
    })

    it('leaves nothing behind when a start fails', async () => {
      const { artifact } = fixture
      const missing = fixture.spec({ artifact: { ...artifact, digest: `sha256:${'0'.repeat(64)}` } })
      await expect(fixture.driver.start(missing)).rejects.toMatchObject({ code: 'ERR_START' })
      const canceled = fixture.driver.start(fixture.spec(), AbortSignal.abort())
      await expect(canceled).rejects.toMatchObject({ code: 'ERR_CANCELED' })
      expect(await fixture.driver.list()).toEqual([])
      await expect(fixture.driver.inspect(missing.owner.instanceId)).resolves.toBeNull()
    })

    it('refuses ids that are not names', async () => {
      await expect(fixture.driver.start(fixture.spec({ owner: { instanceId: '../../etc' } }))).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
      await expect(fixture.driver.inspect('a/b')).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    })

    it('shows how an instance ended', async () => {
      const instance = await fixture.up()
      const { instanceId } = instance.owner
      await call(instance, 'exit', { code: 3 })
      const ended = await eventually('exit', async () => {
        const seen = await fixture.driver.inspect(instanceId)
        return seen?.state === 'exited' ? seen : null
      })
      expect(ended).toMatchObject({ address: null, exit: { code: 3, signal: null, outOfMemory: false } })
      expect((await collect(fixture.driver.logs(instanceId))).map((line) => [line.stream, line.text])).toContainEqual(['stderr', 'dying as told'])
    })

    it('tells of an exit the moment it happens, with its code, and of none that does not', async () => {
      const [instance, sibling] = await Promise.all([fixture.up(), fixture.up()])
      const waiting = new AbortController()
      let siblingEnded = false
      const other = fixture.driver.untilExit(sibling.owner.instanceId, waiting.signal).then(() => {
        siblingEnded = true
      })
      const exit = fixture.driver.untilExit(instance.owner.instanceId, waiting.signal)
      await call(instance, 'exit', { code: 3 })
      await exit
      expect(await fixture.driver.inspect(instance.owner.instanceId)).toMatchObject({ state: 'exited', exit: { code: 3, signal: null } })
      await fixture.driver.untilExit('unknown', waiting.signal)
      waiting.abort()
      await expect(other).rejects.toThrow()
      expect(siblingEnded).toBe(false)
      expect(await call(sibling, 'hello')).toEqual({ hello: 'world' })
    })

    it('tells of a start command that does not exist, by a refusal or by exit code 127', async () => {
      const spec = fixture.spec({ artifact: { ...fixture.artifact, start: { argv: ['no-such-program', '--x'], env: {} } } })
      const refused = await fixture.driver.start(spec).then(
        () => null,
        (error: unknown) => error,
      )
      if (refused) {
        expect(refused).toMatchObject({ code: 'ERR_START', message: expect.stringMatching(/no-such-program|its start command was not found/) })
        expect(await fixture.driver.list()).toEqual([])
        return
      }
      const ended = await eventually('exit', async () => {
        const seen = await fixture.driver.inspect(spec.owner.instanceId)
        return seen?.state === 'exited' ? seen : null
      })
      expect(ended.exit).toMatchObject({ code: 127 })
    })

    it('ends with SIGTERM within the grace period', async () => {
      const { owner } = await fixture.up()
      await fixture.driver.stop(owner.instanceId, 20_000)
      expect(await fixture.driver.inspect(owner.instanceId)).toBeNull()
      expect((await collect(fixture.driver.logs(owner.instanceId))).at(-1)?.text).toBe('got SIGTERM')
      await fixture.driver.stop(owner.instanceId, 1_000)
      await fixture.driver.stop('unknown', 1_000)
    })

    it('kills what ignores SIGTERM, and every stray with it', async () => {
      const instance = await fixture.up({ env: { ON_TERM: 'ignore' } })
      const stray = await call<{ pid: number }>(instance, 'stray')
      expect(stray.pid).toBeGreaterThan(0)
      await fixture.driver.stop(instance.owner.instanceId, 100)
      expect(await fixture.driver.list()).toEqual([])
      expect(await setup().strayAlive(stray.pid)).toBe(false)
    })

    it('sleeps and wakes with its memory, and can be stopped asleep', async () => {
      const instance = await fixture.up()
      const { instanceId } = instance.owner
      const before = await call(instance, 'whoami')
      await fixture.driver.sleep(instanceId)
      await fixture.driver.sleep(instanceId)
      expect((await fixture.driver.inspect(instanceId))?.state).toBe('sleeping')
      expect((await fixture.driver.list())[0]?.state).toBe('sleeping')
      await fixture.driver.wake(instanceId)
      await fixture.driver.wake(instanceId)
      expect((await fixture.driver.list())[0]?.state).toBe('running')
      expect((await call(instance, 'whoami')).pid).toBe(before.pid)
      await fixture.driver.sleep(instanceId)
      await fixture.driver.stop(instanceId, 5_000)
      expect(await fixture.driver.list()).toEqual([])
    })

    it('starts 20 instances at once, none with another’s address', async () => {
      const specs = Array.from({ length: 20 }, (_, index) =>
        fixture.spec({ owner: { projectId: index % 2 ? 'project1' : 'project2', slot: index % 4 < 2 ? 'blue' : 'green' } }),
      )
      const started = await Promise.all(specs.map((spec) => fixture.driver.start(spec)))
      expect(new Set(started.map(({ address }) => `${address?.host}:${address?.port}`)).size).toBe(20)
      expect(await fixture.driver.list()).toHaveLength(20)
      await Promise.all(specs.map((spec) => fixture.driver.stop(spec.owner.instanceId, 0)))
      expect(await fixture.driver.list()).toEqual([])
    })

    it('shows only its own installation, and lets the other’s instances alone', async () => {
      const instance = await fixture.up()
      const other = await setup().driver(`other${newTestId()}`)
      try {
        expect(await other.list()).toEqual([])
        expect(await other.inspect(instance.owner.instanceId)).toBeNull()
        await other.stop(instance.owner.instanceId, 0)
        expect((await fixture.driver.inspect(instance.owner.instanceId))?.state).toBe('running')
      } finally {
        await other.close()
      }
    })

    it('is adopted by the next driver: listed, measured, read, stopped', async () => {
      const instance = await fixture.up()
      const { instanceId } = instance.owner
      await call(instance, 'log', { from: 0, to: 3 })
      const next = await setup().driver(fixture.installationId)
      try {
        expect(await next.list()).toMatchObject([{ owner: instance.owner, state: 'running', address: instance.address }])
        expect((await next.stats(instanceId)).pids).toBeGreaterThan(0)
        await eventually('the log', async () => (await collect(next.logs(instanceId))).some((line) => line.text === 'line 2'))
        await next.stop(instanceId, 5_000)
        expect(await fixture.driver.inspect(instanceId)).toBeNull()
        expect((await collect(fixture.driver.logs(instanceId))).map((line) => line.text)).toContain('line 2')
        await next.forget(instanceId)
        await expect(collect(fixture.driver.logs(instanceId))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
      } finally {
        await next.close()
      }
    })

    it('keeps a project that has instances, and removes one that has none', async () => {
      const { owner } = await fixture.up()
      await expect(fixture.driver.removeProject(owner.projectId)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
      await fixture.driver.stop(owner.instanceId, 0)
      await fixture.driver.removeProject(owner.projectId)
      await fixture.driver.removeProject(owner.projectId)
    })

    it('is healthy, and says of what kind it is', async () => {
      expect(await fixture.driver.health()).toMatchObject({ ok: true, detail: expect.stringMatching(/Docker Engine|own user|user of its own/) })
    })
  })
}

function files(fixture: Fixture, { privateFiles = true }: ContractOptions): void {
  describe('files', () => {
    it('lets an app write to HOME, to TMPDIR and to the cache of its framework, and nowhere in its release', async () => {
      const instance = await fixture.up()
      const { cwd } = await call<{ cwd: string }>(instance, 'whoami')
      const { HOME, TMPDIR = '/tmp' } = await call<Record<string, string>>(instance, 'allEnv')
      for (const directory of [HOME, TMPDIR, `${cwd}/.switchyard/cache`])
        expect([directory, await call(instance, 'write', { file: `${directory}/x` })]).toEqual([directory, { ok: true }])
      for (const file of ['x', 'server.cjs', '.switchyard/x']) expect((await call(instance, 'write', { file: `${cwd}/${file}` })).ok).toBe(false)
    })

    it.runIf(privateFiles)('gives each instance a /tmp, a /dev/shm and a cache of its own, each bounded', async () => {
      const [one, other] = await Promise.all([fixture.up(), fixture.up()])
      const { cwd } = await call<{ cwd: string }>(one, 'whoami')
      for (const directory of ['/tmp', '/dev/shm', `${cwd}/.switchyard/cache`]) {
        const file = `${directory}/mine`
        const { mebibytes, code } = await call<{ mebibytes: number; code: string }>(one, 'fill', { file })
        expect([directory, code]).toEqual([directory, 'ENOSPC'])
        expect(mebibytes).toBeLessThanOrEqual(128)
        expect(await call(other, 'read', { file })).toEqual({ code: 'ENOENT' })
        await call(one, 'remove', { file })
      }
    })
  })
}

/** A listener of the test, in place of any service of this machine. */
async function listenOn(host: string): Promise<{ port: number; close(): Promise<void> }> {
  const server = net.createServer((connection) => connection.end())
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return { port: (server.address() as AddressInfo).port, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function isolation(fixture: Fixture, { isolated = true }: ContractOptions): void {
  describe.runIf(isolated)('isolation', () => {
    it('keeps projects from each other, and lets instances of one project meet', async () => {
      const [one, sibling, stranger] = await Promise.all([
        fixture.up({ owner: { projectId: 'project1' } }),
        fixture.up({ owner: { projectId: 'project1' } }),
        fixture.up({ owner: { projectId: 'project2', deploymentId: 'deploy2' } }),
      ])
      expect(await call(one, 'connect', { ...one.address })).toEqual({ result: 'connected' })
      expect(await call(one, 'connect', { ...sibling.address })).toEqual({ result: 'connected' })
      expect((await call(one, 'connect', { ...stranger.address })).result).not.toBe('connected')
      expect((await call(stranger, 'connect', { ...one.address })).result).not.toBe('connected')
    })

    it('keeps every port of this machine from an app, on loopback and on its other addresses, IPv6 too', async () => {
      const instance = await fixture.up()
      const listener = await listenOn('::')
      try {
        const own = Object.values(networkInterfaces())
          .flatMap((addresses) => addresses ?? [])
          .filter(({ scopeid }) => !scopeid)
          .map(({ address }) => address)
        expect(own).toContain('127.0.0.1')
        for (const host of own)
          expect([host, (await call(instance, 'connect', { host, port: listener.port, ms: 500 })).result]).not.toEqual([host, 'connected'])
      } finally {
        await listener.close()
      }
    })

    it('lets an app listen on any port of its own and connect to it', async () => {
      const instance = await fixture.up()
      for (const host of ['127.0.0.1', '0.0.0.0']) expect(await call(instance, 'loop', { host })).toEqual({ result: 'connected' })
    })

    it('keeps private networks and link-local addresses from an app, and refuses at once', async () => {
      const instance = await fixture.up()
      for (const host of ['169.254.169.254', '10.213.7.1', '192.168.213.7'])
        expect([host, (await call(instance, 'connect', { host, port: 80, ms: 700 })).result]).toEqual([
          host,
          expect.stringMatching(/EHOSTUNREACH|ECONNREFUSED|EACCES|ENETUNREACH/),
        ])
    })

    it('lets names be looked up and the internet be reached', async () => {
      const instance = await fixture.up()
      const found = await call<{ address: string | null }>(instance, 'resolve', { name: 'registry.npmjs.org' })
      expect(found.address).toMatch(/^\d+\./)
      expect(await call(instance, 'connect', { host: found.address as string, port: 443, ms: 10_000 })).toEqual({ result: 'connected' })
    })
  })
}

function logs(fixture: Fixture): void {
  describe('logs', () => {
    it('are in order, and go on behind a cursor without loss or repetition', async () => {
      const instance = await fixture.up()
      const { instanceId } = instance.owner
      await call(instance, 'log', { from: 0, to: 500 })
      const read = async (after?: string) =>
        (await collect(fixture.driver.logs(instanceId, after ? { after } : {}))).filter((line) => line.text.startsWith('line'))
      const all = await eventually('500 lines', async () => {
        const lines = await read()
        return lines.length === 500 ? lines : null
      })
      expect(all.map((line) => line.text)).toEqual(Array.from({ length: 500 }, (_, i) => `line ${i}`))
      for (const at of [0, 123, 498])
        expect((await read(all[at]?.cursor)).map((line) => line.text)).toEqual(all.slice(at + 1).map((line) => line.text))
      expect(await read(all[499]?.cursor)).toEqual([])
      expect((await collect(fixture.driver.logs(instanceId, { tail: 2 }))).map((line) => line.text)).toEqual(['line 498', 'line 499'])
      expect(all.every((line, i) => i === 0 || line.at >= (all[i - 1]?.at ?? line.at))).toBe(true)
    })

    it('follow the instance to its end, with the stream of each line', async () => {
      const instance = await fixture.up()
      const { instanceId } = instance.owner
      const seen: string[] = []
      const following = (async () => {
        for await (const line of fixture.driver.logs(instanceId, { follow: true })) seen.push(`${line.stream} ${line.text}`)
      })()
      await call(instance, 'log', { from: 0, to: 1 })
      await eventually('stdout', async () => seen.includes('stdout line 0'))
      await call(instance, 'log', { from: 1, to: 2, stream: 'stderr' })
      await eventually('stderr', async () => seen.includes('stderr line 1'))
      await fixture.driver.stop(instanceId, 10_000)
      await following
      expect(seen.at(-1)).toBe('stdout got SIGTERM')
    })

    it('stop following on abort', async () => {
      const instance = await fixture.up()
      const controller = new AbortController()
      const following = collect(fixture.driver.logs(instance.owner.instanceId, { follow: true, signal: controller.signal }))
      controller.abort()
      await following
    })

    it('bound a line that is too long', async () => {
      const instance = await fixture.up()
      await call(instance, 'long', { bytes: 100_000 })
      await call(instance, 'log', { from: 7, to: 8 })
      const lines = await eventually('the line behind', async () => {
        const all = await collect(fixture.driver.logs(instance.owner.instanceId))
        return all.some((line) => line.text === 'line 7') ? all : null
      })
      expect(Math.max(...lines.map((line) => Buffer.byteLength(line.text)))).toBeLessThanOrEqual(8 * 1024)
    })
  })
}

function limits(fixture: Fixture, { processLimit = true }: ContractOptions): void {
  describe('limits', () => {
    const untilExit = (instanceId: string) =>
      eventually('exit', async () => {
        const seen = await fixture.driver.inspect(instanceId)
        return seen?.state === 'exited' ? seen : null
      })

    it('statistics are plausible', async () => {
      const instance = await fixture.up()
      const before = await fixture.driver.stats(instance.owner.instanceId)
      await call(instance, 'burn')
      const after = await fixture.driver.stats(instance.owner.instanceId)
      expect(after.cpuSeconds - before.cpuSeconds).toBeGreaterThan(0.1)
      expect(after.memoryBytes).toBeGreaterThan(5 * mebibyte)
      expect(after.memoryBytes).toBeLessThan(256 * mebibyte)
      expect(after.memoryLimitBytes).toBe(256 * mebibyte)
      expect(after.pids).toBeGreaterThan(0)
    })

    it('tell what the instance listens on, from the tables of the kernel, and nothing of an unknown one', async () => {
      const instance = await fixture.up()
      const found = await fixture.driver.listeners(instance.owner.instanceId)
      expect(found?.map(({ port }) => port)).toEqual([instance.address?.port])
      expect(await fixture.driver.listeners(newTestId())).toBeNull()
    })

    it('tell Node of the memory limit, unless the user chose a heap', async () => {
      const own = await fixture.up()
      // V8 adds the young generation to the heap limit.
      expect((await call<{ heap: number }>(own, 'whoami')).heap).toBeLessThan(320 * mebibyte)
      const chosen = await fixture.up({ env: { NODE_OPTIONS: '--max-old-space-size=100' } })
      expect((await call(chosen, 'env', { name: 'NODE_OPTIONS' })).value).toMatch(/^--max-old-space-size=100 /)
    })

    it('take every request head that the routers pass on: one of 32 KiB reaches an app on Node', async () => {
      const instance = await fixture.up()
      const { host, port } = instance.address ?? { host: 'none', port: 0 }
      const cookie = `a=${'x'.repeat(defaultMaxHeaderBytes - 200)}`
      const status = await new Promise((resolve, reject) =>
        http.get({ host, port, headers: { cookie }, agent: false }, (answer) => resolve(answer.resume().statusCode)).on('error', reject),
      )
      expect(status).toBe(200)
    })

    it('memory: the instance ends, and people learn that memory ran out', async () => {
      const instance = await fixture.up({ limits: { memoryBytes: 128 * mebibyte, cpus: 1, pids: 64 } })
      await call(instance, 'allocate').catch(() => {})
      expect((await untilExit(instance.owner.instanceId)).exit).toMatchObject({ outOfMemory: true })
    })

    it('heap: V8 giving up counts as out of memory too', async () => {
      const instance = await fixture.up({ env: { NODE_OPTIONS: '--max-old-space-size=40' } })
      await call(instance, 'heap').catch(() => {})
      expect((await untilExit(instance.owner.instanceId)).exit).toMatchObject({ outOfMemory: true })
    })

    it.runIf(processLimit)('processes: a fork bomb stays inside its limit', async () => {
      const instance = await fixture.up({ limits: { memoryBytes: 1024 * mebibyte, cpus: 1, pids: 60 } })
      const { started, failed } = await call<{ started: number; failed: number }>(instance, 'forkBomb')
      expect(failed).toBeGreaterThan(0)
      expect(started).toBeLessThan(60)
      expect((await fixture.driver.stats(instance.owner.instanceId)).pids).toBeLessThanOrEqual(60)
    })
  })
}
