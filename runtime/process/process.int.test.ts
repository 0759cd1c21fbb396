import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { start } from '@/shared/node/exec'
import { nodeBin } from '@/shared/node/install-node'
import { createLocalStore } from '@/storage/local'
import { type Fixture, runtimeContract } from '../contract'
import type { ObservedInstance } from '../driver'
import { testBundle } from '../testing/bundle'
import { call, collect, eventually, newTestId } from '../testing/calls'
import { ProcessDriver } from './driver'
import { createCgroup, listCgroups, removeCgroup } from './groups'
import { layout } from './layout'
import { allProcesses, environmentHolds, readStat, statOf } from './proc'
import { readRecord } from './record'
import { stopAllProcesses } from './stop-all'

const logger = { info() {}, warn() {} }
let home = ''
const root = process.getuid?.() === 0

async function driverAt(directory: string, installationId: string): Promise<ProcessDriver> {
  const storage = createLocalStore(path.join(directory, 'storage'))
  return ProcessDriver.create({ installationId, home: directory, storage, nodeBinary: process.execPath, logger })
}

runtimeContract(
  `runtime: process (${root ? 'as root' : 'as an ordinary user'})`,
  async () => {
    home = await mkdtemp(path.join(tmpdir(), 'sy-runtime-process-'))
    const directory = home
    const artifact = await testBundle(createLocalStore(path.join(directory, 'storage')))
    return {
      artifact,
      driver: (installationId) => driverAt(directory, installationId),
      async leftovers(installationId) {
        const ports = (await readdir(layout(directory).ports).catch(() => [])).map((port) => `port ${port}`)
        const uids = root ? (await readdir(layout(directory).users).catch(() => [])).map((uid) => `user ${uid}`) : []
        const groups = (await readdir('/sys/fs/cgroup/memory/switchyard').catch(() => [])).filter((name) => name.startsWith(installationId))
        return [...ports, ...uids, ...groups]
      },
      strayAlive: async (pid) => {
        const found = await readStat(pid)
        return found !== null && found.state !== 'Z'
      },
      cleanUp: () => rm(directory, { recursive: true, force: true }),
    }
  },
  (fixture) => {
    users(fixture)
    releases(fixture)
    nodes(fixture)
    groups(fixture)
    adoption(fixture)
    ports(fixture)
  },
  { processLimit: root, privateFiles: root, isolated: root },
)

/** A "Node" that says which one it is, where the driver looks for it. */
async function installFake(version: string): Promise<void> {
  const bin = nodeBin(home, version)
  await mkdir(bin, { recursive: true, mode: 0o755 })
  const node = await realpath(process.execPath)
  // Without a turn of the event loop: a child that is forked meanwhile would hold the file open, and the kernel refuses to run it (ETXTBSY).
  writeFileSync(path.join(bin, 'node'), `#!/bin/sh\nBUILT_ON=${version} exec ${node} "$@"\n`, { mode: 0o755 })
}

function nodes(fixture: Fixture): void {
  it('an app runs on the very Node it was built on, and the person is told when that is no longer here', async () => {
    await installFake('20.1.1')
    const up = (nodeVersion: string) => fixture.up({ artifact: { ...fixture.artifact, nodeVersion } })
    expect(await call(await up('20.1.1'), 'env', { name: 'BUILT_ON' })).toEqual({ value: '20.1.1' })
    await expect(up('20.1.2')).rejects.toThrow(/built on Node 20\.1\.2, which is no longer on this machine/)
  })
}

function users(fixture: Fixture): void {
  describe.runIf(root)('users', () => {
    it('ends, with an instance, every process of the project’s user that no living instance owns', async () => {
      const [one, sibling] = await Promise.all([fixture.up(), fixture.up()])
      const record = await readRecord(layout(home), one.owner.instanceId)
      const uid = record?.uid ?? -1
      // in no control group of ours, and without the mark of any instance: what code that ran before its confinement could leave behind
      const stray = start(['/bin/sleep', '600'], { uid, gid: uid, env: {} as NodeJS.ProcessEnv, stdio: 'ignore', cwd: '/' })
      const ended = new Promise((resolve) => stray.once('exit', (_, signal) => resolve(signal)))
      await fixture.driver.stop(one.owner.instanceId, 1_000)
      expect(await ended).toBe('SIGKILL')
      expect(await call(sibling, 'hello')).toEqual({ hello: 'world' })
    })

    it('a project has a user of its own, without other groups, that another project’s files are closed to', async () => {
      const [one, two] = await Promise.all([
        fixture.up({ owner: { projectId: 'project1' } }),
        fixture.up({ owner: { projectId: 'project2', deploymentId: 'deploy2' } }),
      ])
      const [a, b] = await Promise.all([call<{ uid: number; cwd: string }>(one, 'whoami'), call<{ uid: number; cwd: string }>(two, 'whoami')])
      expect(a).toMatchObject({ groups: [a.uid] })
      expect(a.uid).toBeGreaterThanOrEqual(20_000)
      expect(a.uid).not.toBe(b.uid)
      expect(await call(one, 'read', { file: path.join(b.cwd, 'server.cjs') })).toEqual({ code: 'EACCES' })
      expect(await call(one, 'read', { file: path.join(a.cwd, 'server.cjs') })).toHaveProperty('text')
      const other = await readRecord(layout(home), two.owner.instanceId)
      expect(await call(one, 'read', { file: `/proc/${other?.process.pid}/environ` })).toEqual({ code: 'EACCES' })
      expect(await call(one, 'read', { file: layout(home).record(one.owner.instanceId) })).toEqual({ code: 'EACCES' })
    })

    it('no setuid program lifts an app above its user', async () => {
      const instance = await fixture.up()
      expect((await call<{ text: string }>(instance, 'read', { file: '/proc/self/status' })).text).toMatch(/NoNewPrivs:\s+1/)
    })

    it('an app cannot change its release, and has a private directory to write to', async () => {
      const instance = await fixture.up()
      expect(await call(instance, 'write', { file: 'server.cjs' })).toEqual({ ok: false, code: 'EACCES' })
      const { value } = await call<{ value: string }>(instance, 'env', { name: 'HOME' })
      expect(await call(instance, 'write', { file: `${value}/x` })).toEqual({ ok: true })
      expect((await stat(value)).mode & 0o777).toBe(0o700)
    })
  })
}

function releases(fixture: Fixture): void {
  it('unpacks into releases/<timestamp>-<deployment> once, and points `current` at what was started last', async () => {
    const [one, two] = await Promise.all([fixture.up(), fixture.up()])
    const paths = layout(home)
    const names = await readdir(paths.releases('project1'))
    expect(names).toEqual([expect.stringMatching(/^\d{14}-deploy1$/)])
    expect((await call(one, 'whoami')).cwd).toBe((await call(two, 'whoami')).cwd)
    const next = await fixture.up({ owner: { deploymentId: 'deploy9' } })
    expect(await readlink(paths.current('project1'))).toMatch(/^releases\/\d{14}-deploy9$/)
    expect(await realpath(paths.current('project1'))).toBe((await call(next, 'whoami')).cwd)
    for (const { owner } of [one, two]) {
      await fixture.driver.stop(owner.instanceId, 0)
      await fixture.driver.forget(owner.instanceId)
    }
    expect(await readdir(paths.releases('project1'))).toEqual([expect.stringMatching(/-deploy9$/)])
  })
}

async function manyReleases(fixture: Fixture): Promise<void> {
  for (let i = 0; i < 7; i++) {
    const { owner } = await fixture.up({ owner: { deploymentId: `many${i}` } })
    await fixture.driver.stop(owner.instanceId, 0)
  }
  const names = await readdir(layout(home).releases('project1'))
  expect(names).toHaveLength(4)
  expect(names.some((name) => name.endsWith('-many6'))).toBe(true)
}

function ports(fixture: Fixture): void {
  it('keeps few releases unpacked, however many deployments there were', () => manyReleases(fixture))

  it('a port is given back when its instance stops', async () => {
    const instance = await fixture.up()
    expect(await readdir(layout(home).ports)).toEqual([String(instance.address?.port)])
    await fixture.driver.stop(instance.owner.instanceId, 0)
    expect(await readdir(layout(home).ports)).toEqual([])
  })
}

/** Spawns a control process that owns a driver, and waits until its instance has an address. */
async function startOwner(fixture: Fixture, instanceId: string, env: Record<string, string> = {}) {
  const script = fileURLToPath(new URL('../testing/owner-process.ts', import.meta.url))
  const spec = JSON.stringify(fixture.spec({ owner: { instanceId }, env }))
  const child = start([process.execPath, '--import', 'tsx', script, home, spec], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { PATH: process.env.PATH ?? '', NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const address = await new Promise<NonNullable<ObservedInstance['address']>>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve(JSON.parse(line.toString())))
    child.once('exit', (code) => reject(new Error(`the owner ended with ${code}`)))
  })
  return { child, address }
}

function groups(fixture: Fixture): void {
  it.runIf(root)('empty control groups of instances that are gone are removed at boot and when an instance stops, others stay', async () => {
    const { installationId } = fixture.spec().owner
    const limits = { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 10 }
    const own = async () => (await listCgroups()).filter((name) => name.startsWith(`${installationId}.`))
    const running = await fixture.up()
    const kept = await own()
    const leave = (name: string) => createCgroup(`${installationId}.${name}`, limits)
    const other = await createCgroup('another1.cut-off', limits)
    await Promise.all([leave('cut-off-1'), leave('cut-off-2')])
    await (await driverAt(home, installationId)).close()
    expect(await own()).toEqual(kept)
    expect(await call(running, 'hello')).toEqual({ hello: 'world' })
    await leave('cut-off-3')
    await fixture.driver.stop(running.owner.instanceId, 0)
    expect(await own()).toEqual([])
    expect(await listCgroups()).toContain('another1.cut-off')
    if (other) await removeCgroup(other)
  })
}

function adoption(fixture: Fixture): void {
  describe('when the control process is killed -9', () => {
    it('the app keeps answering, keeps its log, and is adopted, exit included', async () => {
      const instanceId = newTestId()
      const { child, address } = await startOwner(fixture, instanceId)
      const seen = { address } as ObservedInstance
      await eventually('the app', () => call(seen, 'whoami').catch(() => null))
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      expect(await call(seen, 'hello')).toEqual({ hello: 'world' })
      await call(seen, 'log', { from: 0, to: 5 })
      const adopted = await fixture.driver.inspect(instanceId)
      expect(adopted).toMatchObject({ state: 'running', address })
      expect((await fixture.driver.list()).map(({ owner }) => owner.instanceId)).toEqual([instanceId])
      expect((await collect(fixture.driver.logs(instanceId))).map((line) => line.text)).toEqual([
        'listening',
        'line 0',
        'line 1',
        'line 2',
        'line 3',
        'line 4',
      ])
      await call(seen, 'exit', { code: 5 })
      const ended = await eventually('exit', async () => {
        const now = await fixture.driver.inspect(instanceId)
        return now?.state === 'exited' ? now : null
      })
      expect(ended.exit).toEqual({ code: null, signal: null, outOfMemory: false })
    })

    it('the supervisor stops every app from the records alone, strays included', async () => {
      const instanceId = newTestId()
      const { child, address } = await startOwner(fixture, instanceId, { ON_TERM: 'ignore' })
      const seen = { address } as ObservedInstance
      await eventually('the app', () => call(seen, 'whoami').catch(() => null))
      const stray = await call<{ pid: number }>(seen, 'stray')
      child.kill('SIGKILL')
      await stopAllProcesses(home, 200)
      expect(await fixture.driver.list()).toEqual([])
      expect((await readStat(stray.pid))?.state ?? 'Z').toBe('Z')
      const record = await readRecord(layout(home), instanceId)
      expect(record && (await statOf(record.process))).toBeNull()
      const uid = record?.uid ?? -1
      const marked = await Promise.all((await allProcesses()).map(({ pid }) => environmentHolds(pid, uid, `SWITCHYARD_INSTANCE_ID=${instanceId}`)))
      expect(marked.filter(Boolean)).toEqual([])
    })
  })

  it('a record that names a process number used anew is not taken for the app', async () => {
    const instance = await fixture.up()
    const paths = layout(home)
    const record = await readRecord(paths, instance.owner.instanceId)
    expect(record).not.toBeNull()
    if (!record) return
    expect(await statOf(record.process)).not.toBeNull()
    expect(await statOf({ ...record.process, startTicks: record.process.startTicks - 1 })).toBeNull()
    expect(await statOf({ ...record.process, bootId: 'another boot' })).toBeNull()
    expect(JSON.parse(await readFile(paths.record(instance.owner.instanceId), 'utf8'))).toMatchObject({ port: instance.address?.port })
  })
}
