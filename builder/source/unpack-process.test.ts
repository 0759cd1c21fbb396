import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultSourceLimits } from './limits'
import { unpackArchive } from './unpack'
import { unpackInProcess } from './unpack-process'

let base: string
let unpacker: string
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'unpack-process-'))
  unpacker = path.join(base, 'unpacker.mjs')
  const entry = fileURLToPath(new URL('unpacker.ts', import.meta.url))
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: unpacker, banner, logLevel: 'silent' })
})
afterAll(() => rm(base, { recursive: true, force: true }))

function tarOf(count: number, more: Parameters<ReturnType<typeof pack>['entry']>[0][] = []) {
  const packed = pack()
  for (let index = 0; index < count; index++) packed.entry({ name: `file-${index}` }, '')
  for (const header of more) packed.entry(header, '')
  packed.finalize()
  return packed as unknown as AsyncIterable<Uint8Array>
}
async function options(limits: Partial<typeof defaultSourceLimits> = {}) {
  const directory = await mkdtemp(path.join(base, 'tree-'))
  return { directory, limits: { ...defaultSourceLimits, ...limits } }
}
const never = new AbortController().signal
const processesWith = async (text: string) => {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(text))
}

test('another process unpacks to the same tree as this one would', async () => {
  const apart = await unpackInProcess(unpacker, tarOf(300), await options(), never)
  expect(apart).toEqual(await unpackArchive(tarOf(300), await options(), never))
  expect(apart.fileCount).toBe(300)
})

test('what is refused there is said here in the same words, however much of the archive is left', async () => {
  const evil = [{ name: '../../etc/passwd' }]
  await expect(unpackInProcess(unpacker, tarOf(0, evil), await options(), never)).rejects.toMatchObject({
    code: 'ERR_SOURCE',
    message: expect.stringContaining('leads out of the folder'),
    details: { step: 'source', nextAction: expect.any(String) },
  })
  await expect(unpackInProcess(unpacker, tarOf(20_000), await options({ maxFiles: 100 }), never)).rejects.toMatchObject({
    code: 'ERR_SOURCE',
    message: expect.stringContaining('100 files'),
  })
})

test('an abort ends the process', async () => {
  const controller = new AbortController()
  const asked = await options()
  const endless = (async function* () {
    for (;;) {
      yield createHash('sha256').digest()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  const unpacking = unpackInProcess(unpacker, endless, asked, controller.signal)
  unpacking.catch(() => {})
  await expect.poll(() => processesWith(asked.directory)).toHaveLength(1)
  controller.abort()
  await expect(unpacking).rejects.toMatchObject({ name: 'AbortError' })
  await expect.poll(() => processesWith(asked.directory)).toHaveLength(0)
})

test('a file system error keeps its code', async () => {
  const asked = await options()
  await mkdir(path.join(asked.directory, 'file-0'))
  await expect(unpackInProcess(unpacker, tarOf(1), asked, never)).rejects.toMatchObject({ code: 'EEXIST', syscall: 'open' })
})
