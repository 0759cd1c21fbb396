import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type BundleEntry, tarOf } from '../testing/bundle'
import { currentRelease, pointCurrent, unpackBundle } from './bundle'
import { layout } from './layout'

let home: string
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'sy-bundle-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const gid = process.getgid?.() ?? 0
const target = () => path.join(home, 'release')
const unpack = (entries: BundleEntry[], limits?: { entries: number; bytes: number }) =>
  unpackBundle(Readable.from(tarOf(entries)), target(), gid, limits)

describe('unpackBundle', () => {
  it('keeps files, modes and links inside the release', async () => {
    await unpack([
      { name: './server.js', content: 'one' },
      { name: 'bin/run', content: '#!', mode: 0o755 },
      { name: 'node_modules/.pnpm/a/index.js', content: 'a' },
      { name: 'node_modules/a', type: 'symlink', linkname: '.pnpm/a' },
      { name: 'dangling', type: 'symlink', linkname: 'nowhere' },
      { name: 'hard', type: 'link', linkname: 'server.js' },
    ])
    expect(await readFile(path.join(target(), 'server.js'), 'utf8')).toBe('one')
    expect((await stat(path.join(target(), 'server.js'))).mode & 0o777).toBe(0o640)
    expect((await stat(path.join(target(), 'bin/run'))).mode & 0o777).toBe(0o750)
    expect(await readFile(path.join(target(), 'node_modules/a/index.js'), 'utf8')).toBe('a')
    expect(await readFile(path.join(target(), 'hard'), 'utf8')).toBe('one')
    expect(await readdir(target())).not.toContain('dangling')
  })

  const hostile: [string, BundleEntry[]][] = [
    ['a path with ..', [{ name: '../evil', content: 'x' }]],
    ['a path with .. in the middle', [{ name: 'a/../../evil', content: 'x' }]],
    ['an absolute path', [{ name: '/tmp/evil', content: 'x' }]],
    ['a link to an absolute path', [{ name: 'a', type: 'symlink', linkname: '/etc' }]],
    ['a link out of the release', [{ name: 'a', type: 'symlink', linkname: '../..' }]],
    [
      'a link that counts as inside by its dots, and is not by its way',
      [
        { name: 'a/b/c/keep', content: '' },
        { name: 'a/b/c/d', type: 'symlink', linkname: '../../..' },
        { name: 'e', type: 'symlink', linkname: 'a/b/c/d/..' },
      ],
    ],
    [
      'a file written through a link',
      [
        { name: 'out', type: 'symlink', linkname: '..' },
        { name: 'out/evil', content: 'x' },
      ],
    ],
    ['a hard link out of the release', [{ name: 'a', type: 'link', linkname: '../../../../etc/passwd' }]],
    [
      'a file that is a directory too',
      [
        { name: 'a', content: 'x' },
        { name: 'a/b', content: 'x' },
      ],
    ],
    ['a device', [{ name: 'null', type: 'character-device' }]],
    ['a fifo', [{ name: 'pipe', type: 'fifo' }]],
  ]
  it.each(hostile)('refuses %s, and leaves nothing', async (_, entries) => {
    await expect(unpack([{ name: 'first', content: 'ok' }, ...entries])).rejects.toMatchObject({ code: 'ERR_START' })
    expect(await readdir(home)).toEqual([])
  })

  it('refuses more entries or bytes than allowed', async () => {
    const many = Array.from({ length: 12 }, (_, i) => ({ name: `f${i}`, content: 'x' }))
    await expect(unpack(many, { entries: 10, bytes: 1e6 })).rejects.toMatchObject({ message: expect.stringMatching(/more than 10 entries/) })
    await expect(unpack([{ name: 'bomb', content: '0'.repeat(2_000_000) }], { entries: 10, bytes: 1e6 })).rejects.toMatchObject({
      message: expect.stringMatching(/more than 1000000 bytes/),
    })
    expect(await readdir(home)).toEqual([])
  })

  it('refuses what is not a tar, and what is cut short', async () => {
    await expect(unpackBundle(Readable.from([Buffer.from('not zstd')]), target(), gid)).rejects.toMatchObject({ code: 'ERR_START' })
    const whole = Buffer.concat(await Array.fromAsync(tarOf([{ name: 'a', content: 'x'.repeat(100_000) }]), (chunk) => Buffer.from(chunk)))
    await expect(unpackBundle(Readable.from([whole.subarray(0, whole.length - 12)]), target(), gid)).rejects.toMatchObject({ code: 'ERR_START' })
    expect(await readdir(home)).toEqual([])
  })
})

describe('current', () => {
  it('is replaced in one step, whatever it was before', async () => {
    const paths = layout(home)
    await mkdir(paths.releases('p1'), { recursive: true })
    await symlink('releases/old', paths.current('p1'))
    await pointCurrent(paths, 'p1', path.join(paths.releases('p1'), '20261121000000-d1'))
    expect(await readlink(paths.current('p1'))).toBe('releases/20261121000000-d1')
    expect(await currentRelease(paths, 'p1')).toBe('20261121000000-d1')
    expect(await currentRelease(paths, 'p2')).toBeNull()
    expect((await readdir(paths.project('p1'))).sort()).toEqual(['current', 'releases'])
  })
})
