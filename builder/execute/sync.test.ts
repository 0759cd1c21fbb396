import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { syncTree } from './sync'

let root: string
let from: string
let to: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'switchyard-sync-'))
  from = path.join(root, 'from')
  to = path.join(root, 'to')
  await mkdir(from)
})
afterEach(() => rm(root, { recursive: true, force: true }))
const put = async (directory: string, name: string, text: string) => {
  await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
  await writeFile(path.join(directory, name), text)
}
const sync = (keep: string[] = []) => syncTree(from, to, { keep, owner: null })
const read = (name: string) => readFile(path.join(to, name), 'utf8')

describe('bringing a checkout up to date', () => {
  it('copies what is new, replaces what changed, removes what vanished', async () => {
    await put(from, 'a/b', '1')
    await put(from, 'gone', 'x')
    await sync()
    await put(from, 'a/b', '22')
    await rm(path.join(from, 'gone'))
    await sync()
    expect(await read('a/b')).toBe('22')
    expect(await readdir(to)).toEqual(['a'])
  })

  it('keeps cache directories, nested ones too, and nothing around them', async () => {
    await put(from, 'a', '1')
    await put(to, 'node_modules/x', 'kept')
    await put(to, '.next/cache/y', 'kept')
    await put(to, '.next/server/z', 'stale')
    await sync(['node_modules', '.next/cache'])
    expect(await read('node_modules/x')).toBe('kept')
    expect(await read('.next/cache/y')).toBe('kept')
    expect(await readdir(path.join(to, '.next'))).toEqual(['cache'])
  })

  it('does not touch files that are equal, so that tools keep their own caches', async () => {
    await put(from, 'a', 'same')
    await sync()
    const before = await stat(path.join(to, 'a'))
    await put(from, 'a', 'same')
    await sync()
    const after = await stat(path.join(to, 'a'))
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs])
  })

  it('notices a change that leaves the size', async () => {
    await put(from, 'a', 'aaaa')
    await sync()
    await put(from, 'a', 'bbbb')
    await sync()
    expect(await read('a')).toBe('bbbb')
  })

  it('writes through no link an earlier build planted, be it for a file, a directory or a second name', async () => {
    const victim = path.join(root, 'victim')
    await put(victim, 'file', 'untouched')
    await mkdir(to)
    await symlink(victim, path.join(to, 'src'))
    await symlink(path.join(victim, 'file'), path.join(to, 'file'))
    await link(path.join(victim, 'file'), path.join(to, 'hard'))
    await symlink(victim, path.join(to, 'node_modules'))
    await put(from, 'src/file', 'new')
    await put(from, 'file', 'new')
    await put(from, 'hard', 'new')
    await sync(['node_modules'])
    expect(await readFile(path.join(victim, 'file'), 'utf8')).toBe('untouched')
    expect(await readdir(victim)).toEqual(['file'])
    expect(await read('src/file')).toBe('new')
    expect((await readdir(to)).sort()).toEqual(['file', 'hard', 'src'])
  })

  it('copies links as links', async () => {
    await symlink('target', path.join(from, 'link'))
    await sync()
    await rm(path.join(from, 'link'))
    await put(from, 'link', 'now a file')
    await sync()
    expect(await read('link')).toBe('now a file')
  })
})
