import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
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
  (fixture) => hardening(fixture),
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
