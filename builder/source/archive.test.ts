import { createHash } from 'node:crypto'
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SourceTree } from '@/builder/builder'
import type { AppError } from '@/shared/errors'
import type { BlobStore } from '@/storage/blob-store'
import { createLocalStore } from '@/storage/local'
import { defaultSourceLimits, fetchSource, type SourceLimits } from '.'

let base: string
let storage: BlobStore
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'source-archive-'))
  storage = createLocalStore(path.join(base, 'blobs'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

type Headers = Parameters<ReturnType<typeof pack>['entry']>[0]
type Entry = [Headers, (string | Buffer)?]

async function tar(entries: Entry[]): Promise<Buffer> {
  const packed = pack()
  for (const [header, content] of entries) packed.entry(header, content ?? '')
  packed.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packed) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A header as an attacker writes it: any name, any type, any size, with the right checksum. */
function rawHeader(
  name: string,
  options: { type?: string; size?: number | string; link?: string; mode?: string; badChecksum?: boolean } = {},
): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100, 'utf8')
  block.write(options.mode ?? '0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  const { size = 0 } = options
  block.write(typeof size === 'string' ? size : `${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write('        ', 148)
  block.write(options.type ?? '0', 156)
  block.write(options.link ?? '', 157, 100, 'utf8')
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, options.badChecksum ? 1 : 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
const end = Buffer.alloc(1024)
const padded = (text: string) => Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (Buffer.byteLength(text) % 512)) % 512)])
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}
function pax(records: Record<string, string>): Buffer {
  const text = Object.entries(records)
    .map(([key, value]) => paxRecord(key, value))
    .join('')
  return Buffer.concat([rawHeader('pax', { type: 'x', size: Buffer.byteLength(text) }), padded(text)])
}

let counter = 0
async function unpack(bytes: Buffer, limits: Partial<SourceLimits> = {}, signal?: AbortSignal): Promise<SourceTree> {
  counter += 1
  const directory = path.join(base, `jail-${counter}`, 'tree')
  const { digest } = await storage.put(
    (async function* () {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
    })(),
  )
  return fetchSource({ kind: 'archive', digest }, { directory, storage, limits: { ...defaultSourceLimits, ...limits }, signal })
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    () => new Error('was accepted'),
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'AppError' })
  return error as AppError
}

const file = (name: string, content = 'x', extra: Partial<Headers> = {}): Entry => [{ name, ...extra }, content]
const link = (name: string, linkname: string): Entry => [{ name, type: 'symlink', linkname }]
const hard = (name: string, linkname: string): Entry => [{ name, type: 'link', linkname }]
const folder = (name: string): Entry => [{ name, type: 'directory' }]

describe('what arrives', () => {
  const entries = [
    folder('./'),
    folder('./bin/'),
    file('./bin/run', '#!/bin/sh', { mode: 0o4755 }),
    file('a.txt', 'alpha', { mode: 0o666 }),
    link('bin/alias', '../a.txt'),
    hard('copy.txt', 'a.txt'),
  ]

  test('files, folders, links and modes; set-user-id is gone; hard links are files of their own', async () => {
    const tree = await unpack(await tar(entries))
    expect(tree).toMatchObject({ commit: null, fileCount: 4, sizeBytes: 9 + 5 + 5 })
    expect(await readFile(path.join(tree.directory, 'copy.txt'), 'utf8')).toBe('alpha')
    expect((await lstat(path.join(tree.directory, 'copy.txt'))).nlink).toBe(1)
    expect((await lstat(path.join(tree.directory, 'bin/run'))).mode & 0o7777).toBe(0o755)
    expect((await lstat(path.join(tree.directory, 'a.txt'))).mode & 0o7777).toBe(0o644)
    expect(await readlink(path.join(tree.directory, 'bin/alias'))).toBe('../a.txt')
  })

  test('gzip or not, in any order, at any time: the same tree id; one byte, mode or name more: another', async () => {
    const { treeId } = await unpack(await tar(entries))
    expect(treeId).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect((await unpack(gzipSync(await tar(entries)))).treeId).toBe(treeId)
    const later = [entries[3], entries[2], entries[5], entries[4]].map((entry) => [{ ...entry?.[0], mtime: new Date(5) }, entry?.[1]] as Entry)
    expect((await unpack(await tar(later))).treeId).toBe(treeId)
    const others = await Promise.all([
      unpack(await tar([...entries, file('new')])),
      unpack(await tar([...entries.slice(0, 3), file('a.txt', 'alphA'), ...entries.slice(4)])),
      unpack(await tar([...entries.slice(0, 3), file('a.txt', 'alpha', { mode: 0o755 }), ...entries.slice(4)])),
      unpack(await tar([...entries.slice(0, 4), link('bin/alias', '../copy.txt'), ...entries.slice(5)])),
    ])
    expect(new Set([treeId, ...others.map((tree) => tree.treeId)]).size).toBe(5)
  })

  test('long names by pax and by GNU headers, names beyond ASCII, empty files, a link that dangles inside', async () => {
    const long = `${'d'.repeat(120)}/${'e'.repeat(200)}`
    const gnu = 'g'.repeat(180)
    const raw = Buffer.concat([
      rawHeader('././@LongLink', { type: 'L', size: gnu.length + 1 }),
      padded(`${gnu}\0`),
      rawHeader('short', { size: 2 }),
      padded('ok'),
    ])
    const tree = await unpack(Buffer.concat([raw, await tar([file(long), file('grüße/日本.txt'), file('empty', ''), link('later', 'not/there')])]))
    expect(await readFile(path.join(tree.directory, long), 'utf8')).toBe('x')
    expect(await readFile(path.join(tree.directory, gnu), 'utf8')).toBe('ok')
    expect((await readdir(tree.directory)).includes('grüße')).toBe(true)
    expect(tree.fileCount).toBe(5)
  })

  test('the history of a repository inside is left out, whatever its spelling', async () => {
    const tree = await unpack(
      await tar([file('.git/config'), file('.GIT/hooks/post-checkout'), file('sub/.git', 'gitdir: /x'), file('.gitignore'), file('a')]),
    )
    expect((await readdir(tree.directory, { recursive: true })).sort()).toEqual(['.gitignore', 'a'])
  })

  test('two files that differ in case are two files', async () => {
    expect((await unpack(await tar([file('README'), file('readme')]))).fileCount).toBe(2)
  })
})

describe('hostile archives: refused by name, nothing outside is touched', () => {
  const hostile: Record<string, [() => Promise<Buffer> | Buffer, RegExp]> = {
    'an absolute path': [() => Buffer.concat([rawHeader('/tmp/evil'), end]), /“\/tmp\/evil” has an absolute path/],
    'a path with ..': [() => tar([file('../evil')]), /“\.\.\/evil” leads out/],
    'a path with .. in the middle': [() => tar([file('a/../../evil')]), /leads out/],
    'a path with .. that would stay inside': [() => tar([file('a/../b')]), /leads out/],
    'a path of .. by pax': [() => Buffer.concat([pax({ path: '../../evil' }), rawHeader('good'), end]), /leads out/],
    'a path of .. by a GNU long name': [
      () => Buffer.concat([rawHeader('././@LongLink', { type: 'L', size: 8 }), padded('../evil\0'), rawHeader('good'), end]),
      /leads out/,
    ],
    'a backslash': [() => tar([file('..\\evil')]), /backslash/],
    'a drive letter': [() => tar([file('C:evil')]), /drive letter/],
    'a folder outside': [() => tar([folder('../evil/')]), /leads out/],
    'a link to an absolute path': [() => tar([link('passwd', '/etc/passwd')]), /“passwd” is a link to an absolute path/],
    'a link out of the folder': [() => tar([link('up', '../outside')]), /“up” is a link that leads out/],
    'a link that goes in and comes out': [() => tar([link('a/b/c', '../../../outside')]), /leads out/],
    'a link that leaves through another': [() => tar([folder('a/b'), link('a/b/up', '../..'), link('a/b/x', 'up/../outside')]), /leads out/],
    'a link that leaves through a later one': [() => tar([link('x', 'self/../outside'), link('self', '.')]), /leads out/],
    'links that go round': [() => tar([link('a', 'b'), link('b', 'a')]), /leads out/],
    'a link without a target': [() => Buffer.concat([rawHeader('empty', { type: '2' }), end]), /without a usable target/],
    'a link by pax to an absolute path': [
      () => Buffer.concat([pax({ linkpath: '/etc/shadow' }), rawHeader('l', { type: '2', link: 'fine' }), end]),
      /absolute path/,
    ],
    'a file through a link': [() => tar([link('d', '.'), file('d/evil')]), /goes through the link “d”/],
    'a file through a link that leaves': [() => tar([link('d', '/tmp'), file('d/evil')]), /absolute path/],
    'a folder over a link, then a file in it': [() => tar([link('d', 'e'), folder('d'), file('d/evil')]), /goes through the link|twice|both/],
    'a file over a link': [() => tar([link('f', 'target'), file('f')]), /is there twice/],
    'a link over a file': [() => tar([file('f'), link('f', 'target')]), /is there twice/],
    'a link over a folder': [() => tar([folder('d'), link('d', 'e')]), /both a folder/],
    'a file over a folder': [() => tar([folder('d'), file('d')]), /both a folder/],
    'the same file twice': [() => tar([file('f', 'one'), file('f', 'two')]), /“f” is there twice/],
    'the same file by another spelling': [() => tar([file('a/f'), file('./a//f')]), /is there twice/],
    'a link and a folder that differ in case': [() => tar([link('Dir', 'a'), file('dir/evil')]), /differs from “Dir” only in the case/],
    'a link and a file that differ in their Unicode form': [() => tar([link('caf\u00e9', 'a'), file('cafe\u0301')]), /only in the case/],
    'a file as a folder': [() => tar([file('f'), file('f/g')]), /has the file “f” as its folder/],
    'a hard link to an absolute path': [() => tar([hard('h', '/etc/passwd')]), /absolute path/],
    'a hard link out of the folder': [() => tar([hard('h', '../evil')]), /leads out/],
    'a hard link to nothing': [() => tar([hard('h', 'not-there')]), /is a hard link to something that is not a file/],
    'a hard link to a link': [() => tar([link('l', 'a'), hard('h', 'l')]), /is a hard link to something that is not a file/],
    'a character device': [() => tar([[{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]]), /“null” is neither a file/],
    'a block device': [() => tar([[{ name: 'sda', type: 'block-device' }]]), /neither a file/],
    'a fifo': [() => tar([[{ name: 'pipe', type: 'fifo' }]]), /neither a file/],
    'a sparse file of GNU tar': [() => Buffer.concat([rawHeader('sparse', { type: 'S' }), end]), /neither a file/],
    'an unknown type': [() => Buffer.concat([rawHeader('odd', { type: 'Z' }), end]), /neither a file/],
    'a name with NUL by pax': [() => Buffer.concat([pax({ path: 'a\0b' }), rawHeader('good'), end]), /NUL/],
    'a name too long for any disk': [() => tar([file('n'.repeat(300))]), /longer than 255 bytes/],
    'a path too long': [() => tar([file(`${'d/'.repeat(600)}f`)]), /path longer than 1024 bytes/],
    'a size that is negative': [() => Buffer.concat([pax({ size: '-1' }), rawHeader('f'), end]), /damaged/],
    'a size beyond the limit, claimed only': [() => Buffer.concat([rawHeader('f', { size: '77777777777\0' }), end]), /larger than the 1 GB/],
    'a size by pax beyond the limit': [() => Buffer.concat([pax({ size: '99999999999999' }), rawHeader('f'), end]), /larger than the 1 GB/],
    'a wrong checksum': [() => Buffer.concat([rawHeader('f', { badChecksum: true }), end]), /damaged/],
    'an archive cut off inside a file': [() => rawHeader('f', { size: 4096 }), /damaged/],
    'a gzip cut off': [async () => gzipSync(await tar([file('f', 'x'.repeat(10_000))])).subarray(0, 40), /damaged/],
    'a gzip with a wrong checksum': [
      async () => {
        const bytes = gzipSync(await tar([file('f')]))
        bytes.writeUInt32LE(1, bytes.length - 8)
        return bytes
      },
      /damaged/,
    ],
    'no archive at all': [() => Buffer.from('<!doctype html>'.repeat(100)), /damaged/],
    nothing: [() => Buffer.alloc(0), /damaged/],
    'an archive without files': [() => tar([folder('a')]), /holds no files/],
    'a pax header of megabytes': [
      () => Buffer.concat([rawHeader('pax', { type: 'x', size: 64 * 1024 * 1024 }), Buffer.alloc(8 * 1024 * 1024)]),
      /damaged|endless/,
    ],
    'zeros without end, compressed': [() => gzipSync(Buffer.alloc(24 * 1024 * 1024)), /endless/],
    'a decompression bomb': [async () => gzipSync(await tar([file('f', 'x'.repeat(48 * 1024 * 1024))])), /decompression bomb/],
  }

  test.each(Object.entries(hostile))('%s', async (_, [make, message]) => {
    const bytes = await make()
    const jail = path.join(base, `jail-${counter + 1}`)
    const error = await failure(unpack(bytes))
    expect(error.code).toBe('ERR_SOURCE')
    expect(error.message).toMatch(message)
    expect(error.details.nextAction).toBeTruthy()
    expect(await readdir(jail)).toEqual(['tree'])
    for (const entry of await readdir(path.join(jail, 'tree'), { recursive: true, withFileTypes: true }))
      expect(entry.isFile() || entry.isDirectory() || entry.isSymbolicLink()).toBe(true)
  })

  test('a name cannot rewrite the message it is shown in', async () => {
    const error = await failure(unpack(await tar([file('../\u001b[2J\u202Eevil\nERROR')])))
    for (const character of ['\u001b', '\u202E', '\n']) expect(error.message).not.toContain(character)
  })
})

describe('limits', () => {
  test('entries, bytes, bytes by hard links, packed bytes', async () => {
    expect((await failure(unpack(await tar([file('a'), file('b'), file('c')]), { maxFiles: 2 }))).message).toContain('more than the 2 files')
    expect((await failure(unpack(await tar([file('a/b/c/d/e/f')]), { maxFiles: 3 }))).message).toContain('more than the 3 files')
    expect((await failure(unpack(await tar([file('a', 'x'.repeat(2000))]), { maxBytes: 1000 }))).message).toContain('larger than')
    const links = Array.from({ length: 20 }, (_, index) => hard(`h${index}`, 'a'))
    expect((await failure(unpack(await tar([file('a', 'x'.repeat(1000)), ...links]), { maxBytes: 10_000 }))).message).toContain('larger than')
    expect((await failure(unpack(await tar([file('a', 'x'.repeat(100_000))]), { maxFetchBytes: 10_000 }))).message).toContain('larger than')
  })

  test('cancel, before and during', async () => {
    const controller = new AbortController()
    controller.abort()
    expect((await failure(unpack(await tar([file('a')]), {}, controller.signal))).code).toBe('ERR_CANCELED')
    const during = new AbortController()
    const bytes = await tar([file('a', 'x'.repeat(1_000_000))])
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const slow: BlobStore = {
      ...storage,
      get: async () => {
        const { Readable } = await import('node:stream')
        return Readable.from(
          (async function* () {
            yield bytes.subarray(0, 2048)
            during.abort()
            await new Promise(() => {})
          })(),
        )
      },
    }
    const directory = path.join(base, 'canceled')
    expect(
      (await failure(fetchSource({ kind: 'archive', digest }, { directory, storage: slow, limits: defaultSourceLimits, signal: during.signal })))
        .code,
    ).toBe('ERR_CANCELED')
    const late = fetchSource(
      { kind: 'archive', digest },
      { directory: `${directory}-late`, storage: slow, limits: { ...defaultSourceLimits, timeoutMs: 100 } },
    )
    expect((await failure(late)).message).toContain('took longer')
  })

  test('an unknown digest', async () => {
    const missing = fetchSource(
      { kind: 'archive', digest: `sha256:${'0'.repeat(64)}` },
      { directory: path.join(base, 'missing'), storage, limits: defaultSourceLimits },
    )
    expect((await failure(missing)).code).toBe('ERR_NOT_FOUND')
  })
})

describe('what an upload only points at', () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'7'.repeat(64)}\nsize 12345\n`
  const modules = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../lib.git\n'
  async function deploy(entries: Entry[], settings?: { submodules: 'fetch' | 'ignore'; lfs: 'fetch' | 'ignore' }) {
    const bytes = await tar(entries)
    const { digest } = await storage.put(
      (async function* () {
        yield bytes
      })(),
    )
    const directory = await mkdtemp(path.join(base, 'pointed-'))
    const lines: string[] = []
    await fetchSource(
      { kind: 'archive', digest },
      { directory, storage, limits: defaultSourceLimits, ...(settings ? { settings } : {}), onLog: (line) => lines.push(line) },
    )
    return lines.join('\n')
  }

  test('pointer files of Git LFS fail the deployment and name the setting; ignored ones are named in the log', async () => {
    const entries: Entry[] = [
      [{ name: 'index.html' }, 'x'],
      [{ name: 'big.bin' }, pointer],
    ]
    await expect(deploy(entries)).rejects.toMatchObject({
      code: 'ERR_SOURCE',
      message: expect.stringContaining('big.bin'),
      details: { nextAction: expect.stringContaining('git lfs pull') },
    })
    expect(await deploy(entries, { submodules: 'fetch', lfs: 'ignore' })).toContain('Warning: files of Git LFS are not fetched')
  })

  test('empty folders of submodules fail the deployment and name the setting; those with files are part of it', async () => {
    const entries: Entry[] = [[{ name: '.gitmodules' }, modules], [{ name: 'vendor/lib', type: 'directory' }]]
    await expect(deploy(entries)).rejects.toMatchObject({ code: 'ERR_SOURCE', message: expect.stringContaining('vendor/lib') })
    expect(await deploy(entries, { submodules: 'ignore', lfs: 'fetch' })).toContain('Warning: submodules are not fetched')
    expect(await deploy([...entries, [{ name: 'vendor/lib/a.js' }, 'x']])).not.toContain('Warning')
  })
})
