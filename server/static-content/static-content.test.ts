import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pino } from 'pino'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Artifact } from '@/shared/release'
import { openStaticContents } from './static-content'
import { unpackPublicFiles } from './unpack'

let home: string
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-static-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

type Item = { name: string; text?: string; type?: 'file' | 'directory' | 'symlink' | 'link' | 'block-device' | 'fifo'; to?: string }
function tarOf(items: Item[]): NodeJS.ReadableStream {
  const tar = pack()
  for (const { name, text, type = 'file', to } of items)
    if (type === 'file') tar.entry({ name }, text ?? name)
    else tar.entry({ name, type, ...(to === undefined ? {} : { linkname: to }) })
  tar.finalize()
  return tar as unknown as NodeJS.ReadableStream
}
const unpack = (items: Item[], limits?: { entries: number; bytes: number }) => unpackPublicFiles(tarOf(items), 'site', path.join(home, 'out'), limits)

describe('unpacking', () => {
  test('takes what lies below the public directory, and nothing beside it', async () => {
    const items: Item[] = [
      { name: 'site', type: 'directory' },
      { name: 'site/index.html', text: 'home' },
      { name: './site/a/b.css' },
      { name: 'sitemap.xml' },
      { name: '.switchyard/static-server.mjs' },
      { name: 'site/link.html', type: 'symlink', to: 'index.html' },
      { name: 'site/up', type: 'symlink', to: '../..' },
      { name: 'site/abs', type: 'symlink', to: '/etc/passwd' },
      { name: 'site/nowhere', type: 'symlink', to: 'missing' },
      { name: 'site/disk', type: 'block-device' },
      { name: 'site/pipe', type: 'fifo' },
    ]
    expect(await unpack(items)).toBe(2)
    expect((await readdir(path.join(home, 'out'), { recursive: true })).sort()).toEqual(['a', 'a/b.css', 'index.html', 'link.html'])
    expect(await readFile(path.join(home, 'out/index.html'), 'utf8')).toBe('home')
    expect(await readlink(path.join(home, 'out/link.html'))).toBe('index.html')
    expect(await readdir(home)).toEqual(['out'])
  })
  test.each<[string, Item[]]>([
    ['..', [{ name: 'site/../../evil' }]],
    ['absolute', [{ name: '/etc/evil' }]],
    ['.. in the middle', [{ name: 'site/a/../../../evil' }]],
    ['a file as a directory', [{ name: 'site/a' }, { name: 'site/a/b' }]],
  ])('%s is refused, and nothing is left', async (_name, items) => {
    await expect(unpack([{ name: 'site/ok' }, ...items])).rejects.toMatchObject({ code: 'ERR_START' })
    expect(await readdir(home)).toEqual([])
  })
  test('a link cannot lead a later file out', async () => {
    await mkdir(path.join(home, 'victim'))
    await unpack([{ name: 'site/dir', type: 'symlink', to: '../victim' }, { name: 'site/dir/evil.txt' }])
    expect(await readdir(path.join(home, 'victim'))).toEqual([])
  })
  test.each([[{ entries: 2, bytes: 1e6 }], [{ entries: 100, bytes: 10 }]])('a bomb is stopped at %j', async (limits) => {
    await expect(unpack([{ name: 'site/1' }, { name: 'site/2' }, { name: 'site/3' }], limits)).rejects.toMatchObject({ code: 'ERR_START' })
    expect(await readdir(home)).toEqual([])
  })
  test('a tar that breaks off leaves nothing', async () => {
    const whole = await buffer(tarOf([{ name: 'site/1', text: 'x'.repeat(100_000) }]))
    async function* half() {
      yield whole.subarray(0, 50_000)
      throw new Error('gone')
    }
    await expect(unpackPublicFiles(Readable.from(half()), 'site', path.join(home, 'out'))).rejects.toThrow('gone')
    expect(await readdir(home)).toEqual([])
  })
})

describe('contents of an installation', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const artifact = { digest } as Artifact
  const spec = { root: 'site', spa: true }
  const logger = pino({ level: 'silent' })
  const directory = () => path.join(home, 'static', 'a'.repeat(64))

  test('are unpacked once for many who ask, found again after a restart, removed for good', async () => {
    let reads = 0
    const builder = {
      files: async () => {
        reads++
        return tarOf([{ name: 'site/index.html' }])
      },
    }
    const contents = await openStaticContents({ home, builder, logger })
    expect(contents.locate(digest, spec)).toBeNull()
    const all = await Promise.all([contents.ensure(artifact, spec), contents.ensure(artifact, spec)])
    expect(all).toEqual([{ digest, directory: directory(), spa: true }, all[0]])
    expect(reads).toBe(1)
    await mkdir(path.join(home, 'static/.half.123'))
    const again = await openStaticContents({ home, builder, logger })
    expect(again.locate(digest, spec)).toEqual(all[0])
    expect(await readdir(path.join(home, 'static'))).toEqual(['a'.repeat(64)])
    await again.remove(digest)
    expect(again.locate(digest, spec)).toBeNull()
    expect(await readdir(path.join(home, 'static'))).toEqual([])
    await again.remove(digest)
  })
  test('that somebody deleted are unpacked again', async () => {
    const contents = await openStaticContents({ home, builder: { files: async () => tarOf([{ name: 'site/index.html' }]) }, logger })
    await contents.ensure(artifact, spec)
    await rm(directory(), { recursive: true })
    await contents.ensure(artifact, spec)
    expect(await readdir(directory())).toEqual(['index.html'])
  })
  test('a failure is told, leaves nothing, and may be tried again', async () => {
    let items: Item[] = [{ name: 'other' }]
    const contents = await openStaticContents({ home, builder: { files: async () => tarOf(items) }, logger })
    await expect(contents.ensure(artifact, spec)).rejects.toMatchObject({ code: 'ERR_START', message: expect.stringContaining('no file') })
    expect(await readdir(path.join(home, 'static'))).toEqual([])
    items = [{ name: 'site/index.html' }]
    await contents.ensure(artifact, spec)
    await writeFile(path.join(directory(), 'x'), '')
  })
  test('a digest that is none never becomes a path', async () => {
    const contents = await openStaticContents({ home, builder: { files: async () => tarOf([]) }, logger })
    expect(() => contents.locate('../../etc', spec)).toThrow('not the digest')
  })
})
