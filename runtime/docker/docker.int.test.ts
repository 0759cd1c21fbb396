import { mkdtemp, rm } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import path from 'node:path'
import Docker from 'dockerode'
import { describe, expect, it } from 'vitest'
import { type Fixture, runtimeContract } from '../contract'
import { call, newTestId } from '../testing/calls'
import { buildTestImage } from '../testing/image'
import { DockerDriver } from './driver'

const socket = (process.env.DOCKER_HOST ?? '/var/run/docker.sock').replace(/^unix:\/\//, '')
const docker = new Docker({ socketPath: socket })
const logger = { info() {}, warn() {} }

runtimeContract(
  'runtime: docker',
  async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-runtime-docker-'))
    const tag = `switchyard-runtime-test:${newTestId()}`
    const artifact = await buildTestImage(socket, tag)
    return {
      artifact,
      driver: async (installationId) => new DockerDriver({ installationId, home, host: socket, logger }),
      async leftovers(installationId) {
        const filters = { label: [`switchyard.installationId=${installationId}`] }
        const [containers, networks] = await Promise.all([docker.listContainers({ all: true, filters }), docker.listNetworks({ filters })])
        return [...containers.map((one) => one.Names.join()), ...networks.map((one) => one.Name)]
      },
      // the whole process namespace ends with its first process
      strayAlive: async () => false,
      async cleanUp() {
        await docker.getImage(tag).remove({ force: true })
        await rm(home, { recursive: true, force: true })
      },
    }
  },
  (fixture) => {
    hardening(fixture)
    isolation(fixture)
  },
)

function hardening(fixture: Fixture): void {
  describe('hardening', () => {
    it('runs as uid 1000 without capabilities, on a read-only file system with a writable /tmp', async () => {
      const instance = await fixture.up()
      expect(await call(instance, 'whoami')).toMatchObject({ uid: 1000, gid: 1000 })
      expect(await call(instance, 'write', { file: '/app/x' })).toEqual({ ok: false, code: 'EROFS' })
      expect(await call(instance, 'write', { file: '/tmp/x' })).toEqual({ ok: true })
      const { text } = await call<{ text: string }>(instance, 'read', { file: '/proc/self/status' })
      expect(text).toMatch(/CapEff:\s+0000000000000000/)
      expect(text).toMatch(/CapBnd:\s+0000000000000000/)
      expect(text).toMatch(/NoNewPrivs:\s+1/)
    })

    it('names and labels the container after its owner', async () => {
      const { owner } = await fixture.up()
      const container = await docker.getContainer(`sy-${owner.projectSlug}-${owner.slot}-${owner.instanceId}`).inspect()
      for (const [field, value] of Object.entries(owner)) expect(container.Config.Labels[`switchyard.${field}`]).toBe(value)
      expect(container.HostConfig).toMatchObject({
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
        Init: true,
        Memory: 256 * 1024 * 1024,
        PidsLimit: 128,
        NanoCpus: 1e9,
      })
      expect(container.HostConfig.PortBindings ?? {}).toEqual({})
    })
  })
}

async function listen(host: string): Promise<{ port: number; close(): Promise<void> }> {
  const server = net.createServer((connection) => connection.end())
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return { port: (server.address() as AddressInfo).port, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function isolation(fixture: Fixture): void {
  describe('isolation', () => {
    it('keeps projects from each other, and lets instances of one project meet', async () => {
      const [one, sibling, stranger] = await Promise.all([
        fixture.up({ owner: { projectId: 'project1' } }),
        fixture.up({ owner: { projectId: 'project1' } }),
        fixture.up({ owner: { projectId: 'project2' } }),
      ])
      expect(await call(one, 'connect', { ...sibling.address })).toEqual({ result: 'connected' })
      expect((await call(one, 'connect', { ...stranger.address })).result).not.toBe('connected')
      expect((await call(stranger, 'connect', { ...one.address })).result).not.toBe('connected')
    })

    it('keeps every port of the host from an app, by gateway and by the host’s other addresses', async () => {
      const instance = await fixture.up()
      const listener = await listen('0.0.0.0')
      try {
        const gateway = instance.address?.host.replace(/\d+$/, '1') ?? ''
        const own = Object.values(networkInterfaces())
          .flat()
          .filter((address) => address && address.family === 'IPv4' && !address.internal)
          .map((address) => address?.address ?? '')
        expect(own).toContain(gateway)
        for (const host of own)
          expect([host, (await call(instance, 'connect', { host, port: listener.port, ms: 700 })).result]).toEqual([host, 'timeout'])
      } finally {
        await listener.close()
      }
    })

    it('lets names be looked up and the internet be reached', async () => {
      const instance = await fixture.up()
      const found = await call<{ address: string | null }>(instance, 'resolve', { name: 'registry.npmjs.org' })
      expect(found.address).toMatch(/^\d+\./)
      expect(await call(instance, 'connect', { host: found.address as string, port: 443, ms: 10_000 })).toEqual({ result: 'connected' })
    })
  })
}

describe('a Docker engine that does not answer', () => {
  it('is told apart from an empty one, with what still serves', async () => {
    const driver = new DockerDriver({ installationId: 'none', home: tmpdir(), host: '/nonexistent/docker.sock', logger })
    await expect(driver.list()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', details: { stillServing: expect.stringMatching(/keep answering/) } })
    expect(await driver.health()).toMatchObject({ ok: false, reason: expect.stringMatching(/does not answer/) })
  })

  it('does not hold a call for ever when it is frozen', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'sy-frozen-'))
    const frozen = net.createServer(() => {})
    await new Promise<void>((resolve) => frozen.listen(path.join(directory, 'docker.sock'), resolve))
    try {
      const driver = new DockerDriver({ installationId: 'none', home: directory, host: `unix://${directory}/docker.sock`, logger })
      expect(await driver.health()).toMatchObject({ ok: false, reason: expect.stringMatching(/did not answer within 2000 ms/) })
    } finally {
      frozen.close()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
