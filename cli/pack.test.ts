import { createReadStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createGunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { packFolder } from './pack'

let base: string
let folder: string
const servers: Server[] = []

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'switchyard-pack-test-'))
  folder = path.join(base, 'source')
  await mkdir(folder)
})
afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  await rm(base, { recursive: true, force: true })
})

async function write(files: Record<string, string>, root = folder): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true })
    await writeFile(path.join(root, name), text)
  }
}

async function unpack(file: string): Promise<{ header: Header; text: string }[]> {
  const entries: { header: Header; text: string }[] = []
  const tar = extract()
  createReadStream(file).pipe(createGunzip()).pipe(tar)
  for await (const entry of tar) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    entries.push({ header: entry.header, text: Buffer.concat(chunks).toString() })
  }
  return entries
}

async function packedNames(): Promise<string[]> {
  const packed = await packFolder(folder)
  try {
    return (await unpack(packed.file)).map((entry) => entry.header.name)
  } finally {
    await packed.dispose()
  }
}

describe('what is packed', () => {
  it('leaves out .git, node_modules, .next and .switchyard at every level, also when an ignore file asks for them', async () => {
    await write({
      '.gitignore': '!node_modules\n',
      'index.js': '',
      '.git/config': '',
      'node_modules/a/index.js': '',
      '.next/build': '',
      '.switchyard/project.json': '{}',
      'packages/a/node_modules/b/index.js': '',
      'packages/a/index.js': '',
    })
    expect(await packedNames()).toEqual(['.gitignore', 'index.js', 'packages/a/index.js'])
  })

  it('follows .gitignore at every level; a deeper file and a later line win', async () => {
    await write({
      '.gitignore': '*.log\n/build\nsecret.txt\n',
      'a.log': '',
      'build/out.js': '',
      'src/build/kept.js': '',
      'src/secret.txt': '',
      'src/.gitignore': '!keep.log\n*.tmp\n',
      'src/keep.log': '',
      'src/other.log': '',
      'src/x.tmp': '',
      'x.tmp': '',
    })
    expect(await packedNames()).toEqual(['.gitignore', 'src/.gitignore', 'src/build/kept.js', 'src/keep.log', 'x.tmp'])
  })

  it('lets .switchyardignore add to .gitignore and take back from it', async () => {
    await write({
      '.gitignore': 'dist\ndata\n',
      '.switchyardignore': '!dist\ndocs/\n*.md\n',
      'dist/app.js': '',
      'data/db.sqlite': '',
      'docs/guide.txt': '',
      'README.md': '',
      'app.js': '',
    })
    expect(await packedNames()).toEqual(['.gitignore', '.switchyardignore', 'app.js', 'dist/app.js'])
  })

  it('leaves out secrets of this machine unless an ignore file takes them back', async () => {
    await write({ '.env': '', '.env.local': '', 'web/.env.production.local': '', 'index.js': '' })
    expect(await packedNames()).toEqual(['.env', 'index.js'])
    await write({ '.switchyardignore': '!.env.local\n' })
    expect(await packedNames()).toEqual(['.env', '.env.local', '.switchyardignore', 'index.js'])
  })

  it('keeps names with blanks, accents, long paths and leading dashes', async () => {
    const long = `${'deep/'.repeat(40)}${'n'.repeat(120)}.txt`
    await write({ 'with blank.txt': '', 'größe.txt': '', '-rf': '', [long]: 'deep' })
    expect(await packedNames()).toEqual(['-rf', long, 'größe.txt', 'with blank.txt'].sort((a, b) => (a < b ? -1 : 1)))
  })

  it('names sockets and pipes it left out', async () => {
    await write({ 'index.js': '' })
    const server = createServer()
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(path.join(folder, 'app.sock'), resolve))
    const packed = await packFolder(folder)
    expect(packed.warnings).toEqual([expect.stringContaining('app.sock')])
    expect(packed.fileCount).toBe(1)
    await packed.dispose()
  })

  it('holds content and the executable bit, small files and large ones', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024)
    await write({ 'run.sh': '#!/bin/sh\n', 'large.txt': large, 'empty.txt': '' })
    await chmod(path.join(folder, 'run.sh'), 0o750)
    const packed = await packFolder(folder)
    const entries = await unpack(packed.file)
    expect(entries.map(({ header, text }) => [header.name, header.mode, text.length])).toEqual([
      ['empty.txt', 0o644, 0],
      ['large.txt', 0o644, large.length],
      ['run.sh', 0o755, 10],
    ])
    expect(packed.sizeBytes).toBe(large.length + 10)
    await packed.dispose()
  })
})

describe('symlinks', () => {
  it('are kept when they stay inside', async () => {
    await write({ 'shared/a.txt': 'a', 'app/index.js': '' })
    await symlink('../shared/a.txt', path.join(folder, 'app/link.txt'))
    await symlink('shared', path.join(folder, 'alias'))
    const packed = await packFolder(folder)
    const links = (await unpack(packed.file)).filter(({ header }) => header.type === 'symlink')
    expect(links.map(({ header }) => [header.name, header.linkname])).toEqual([
      ['alias', 'shared'],
      ['app/link.txt', '../shared/a.txt'],
    ])
    await packed.dispose()
  })

  it.each([
    ['an absolute target', '/etc/passwd'],
    ['a target above the folder', '../../outside'],
    ['a target that only looks inside', 'deep/up/../secret'],
  ])('are refused with %s', async (_, target) => {
    await write({ 'index.js': '', 'deep/x.txt': '' })
    // `deep/up` is the folder itself, so `deep/up/../secret` really is above it.
    await symlink('..', path.join(folder, 'deep/up'))
    await writeFile(path.join(base, 'secret'), '')
    await symlink(target, path.join(folder, 'link'))
    await expect(packFolder(folder)).rejects.toMatchObject({ code: 'ERR_SOURCE', message: expect.stringContaining('leads out of the folder') })
  })

  it('do no harm where they are ignored', async () => {
    await write({ '.gitignore': 'link\n', 'index.js': '' })
    await symlink('/etc/passwd', path.join(folder, 'link'))
    expect(await packedNames()).toEqual(['.gitignore', 'index.js'])
  })
})

describe('the archive', () => {
  it('is the same for the same files, whatever their times and the order they were written in', async () => {
    const other = await mkdtemp(path.join(tmpdir(), 'switchyard-pack-test-'))
    await write({ 'a.txt': '1', 'b/c.txt': '2', Z: '3' })
    await write({ Z: '3', 'b/c.txt': '2', 'a.txt': '1' }, other)
    await utimes(path.join(other, 'a.txt'), 1000, 1000)
    const [one, two] = [await packFolder(folder), await packFolder(other)]
    expect(two.digest).toBe(one.digest)
    await Promise.all([one.dispose(), two.dispose(), rm(other, { recursive: true })])
  })

  it('differs when one byte does', async () => {
    await write({ 'a.txt': '1' })
    const before = await packFolder(folder)
    await write({ 'a.txt': '2' })
    const after = await packFolder(folder)
    expect(after.digest).not.toBe(before.digest)
    await Promise.all([before.dispose(), after.dispose()])
  })

  it('is readable by its owner only and gone after dispose', async () => {
    await write({ 'a.txt': '1' })
    const packed = await packFolder(folder)
    expect((await stat(packed.file)).mode & 0o777).toBe(0o600)
    expect((await stat(packed.file)).size).toBe(packed.archiveBytes)
    await packed.dispose()
    await expect(stat(packed.file)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('nothing to deploy', () => {
  it.each([
    ['an empty folder', async () => folder, 'nothing to deploy'],
    ['a missing folder', async () => path.join(folder, 'nowhere'), 'There is no folder'],
    [
      'a file',
      async () => {
        await write({ 'file.txt': '' })
        return path.join(folder, 'file.txt')
      },
      'is not a folder',
    ],
  ])('%s is explained', async (_, where, message) => {
    await expect(packFolder(await where())).rejects.toMatchObject({ code: 'ERR_SOURCE', message: expect.stringContaining(message) })
  })

  it('stops when it is aborted', async () => {
    await write({ 'a.txt': '1' })
    await expect(packFolder(folder, AbortSignal.abort(new Error('stop')))).rejects.toThrow()
  })
})
