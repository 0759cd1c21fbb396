import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { createLocalStore } from '@/storage/local'
import { createRuntime, type RuntimeOptions } from '.'

const logger = { info() {}, warn() {} }

describe('createRuntime', () => {
  async function withHome(work: (options: Omit<RuntimeOptions, 'kind'>) => Promise<void>) {
    const home = await mkdtemp(path.join(tmpdir(), 'sy-runtime-'))
    try {
      const storage = createLocalStore(path.join(home, 'storage'))
      await work({ installationId: 'auto', home, storage, nodeBinary: process.execPath, logger })
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  }

  it('auto: containers where an engine answers', async () => {
    await withHome(async (options) => {
      const runtime = await createRuntime({ ...options, kind: 'auto', dockerSocket: process.env.DOCKER_HOST })
      expect(runtime.kind).toBe('docker')
      expect(await runtime.list()).toEqual([])
      await runtime.close()
    })
  })

  it('auto: processes where none does', async () => {
    await withHome(async (options) => {
      const runtime = await createRuntime({ ...options, kind: 'auto', dockerSocket: path.join(options.home, 'none.sock') })
      expect(runtime.kind).toBe('process')
      expect(await runtime.list()).toEqual([])
      await runtime.close()
    })
  })

  it('docker: is there although the engine is down, and says so', async () => {
    await withHome(async (options) => {
      const runtime = await createRuntime({ ...options, kind: 'docker', dockerSocket: path.join(options.home, 'none.sock') })
      expect(await runtime.health()).toMatchObject({ ok: false })
      await runtime.close()
    })
  })
})
