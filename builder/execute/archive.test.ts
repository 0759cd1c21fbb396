import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ArchiveEntry, archiveBytes, archiveSize, collectOutputs, underDirectory } from './archive'

let root: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'switchyard-archive-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const put = async (name: string, text: string | Buffer, mode = 0o644) => {
  await mkdir(path.dirname(path.join(root, name)), { recursive: true })
  await writeFile(path.join(root, name), text, { mode })
}
const everything = [{ from: '.', to: '.', exclude: [] }]

async function pack(entries: readonly ArchiveEntry[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of archiveBytes(entries, { uid: 1000, gid: 1000 })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function unpack(tar: Buffer) {
  const found: Record<
    string,
    { type: string | null | undefined; mode: number; mtime: number; body: string; linkname: string | null | undefined; uid: number }
  > = {}
  const reader = extract()
  Readable.from([tar]).pipe(reader as unknown as NodeJS.WritableStream)
  for await (const entry of reader) {
    const parts: Buffer[] = []
    for await (const part of entry) parts.push(part as Buffer)
    const { name, type, mode, mtime, linkname, uid } = entry.header
    found[name] = { type, mode: mode ?? 0, mtime: Number(mtime), body: Buffer.concat(parts).toString('latin1'), linkname, uid: uid ?? -1 }
  }
  return found
}

describe('an archive of build outputs', () => {
  it('refuses a link by an absolute path, which leads nowhere where the app runs, and names it', async () => {
    await symlink('/build/checkout/data.json', path.join(root, 'data.json'))
    await expect(collectOutputs(root, root, everything)).rejects.toMatchObject({
      code: 'ERR_BUILD',
      message: expect.stringContaining('"data.json" → "/build/checkout/data.json"'),
    })
    await expect(collectOutputs(root, root, everything, [], () => false)).resolves.toHaveLength(1)
  })
  it('round-trips names of any length and script, links, modes and large files', async () => {
    const long = `${'deep/'.repeat(40)}${'x'.repeat(120)}.txt`
    const large = Buffer.alloc(3 * 1024 * 1024 + 17, 7)
    await put(long, 'long')
    await put('grüße/日本.txt', 'unicode')
    await put('run.sh', '#!', 0o755)
    await put('large.bin', large)
    await symlink('../outside', path.join(root, 'link'))
    const entries = await collectOutputs(root, root, everything)
    const tar = await pack(entries)
    expect(tar.length).toBe(archiveSize(entries))
    const found = await unpack(tar)
    expect(found[long]?.body).toBe('long')
    expect(found['grüße/日本.txt']?.body).toBe('unicode')
    expect(found['run.sh']?.mode).toBe(0o755)
    expect(found['large.bin']?.body.length).toBe(large.length)
    expect(found.link).toMatchObject({ type: 'symlink', linkname: '../outside' })
    expect(found['run.sh']?.uid).toBe(1000)
  })

  it('is the same for equal trees, whatever their times, owners and order on disk', async () => {
    await put('a/1', 'one')
    await put('b', 'two')
    const first = await pack(await collectOutputs(root, root, everything))
    await rm(path.join(root, 'a'), { recursive: true })
    await put('a/1', 'one')
    await utimes(path.join(root, 'b'), 1, 1)
    expect((await pack(await collectOutputs(root, root, everything))).equals(first)).toBe(true)
  })

  it('gives files of equal size but other content another time, because ETags are made of both', async () => {
    await put('a', 'aaaa')
    await put('b', 'bbbb')
    const found = await unpack(await pack(await collectOutputs(root, root, everything)))
    expect(found.a?.mtime).not.toBe(found.b?.mtime)
  })

  it('leaves out what is excluded, lets a later output win, adds parents', async () => {
    await put('dist/index.html', 'built')
    await put('dist/node_modules/x/y', 'no')
    await put('dist/keep/.cache/z', 'no')
    await put('other/index.html', 'other')
    const entries = await collectOutputs(root, root, [
      { from: 'dist', to: 'site/html', exclude: ['node_modules', 'keep/.cache'] },
      { from: 'other/index.html', to: 'site/html/index.html', exclude: [] },
    ])
    const found = await unpack(await pack(underDirectory(entries, 'app')))
    expect(Object.keys(found)).toEqual(['app/', 'app/site/', 'app/site/html/', 'app/site/html/index.html', 'app/site/html/keep/'])
    expect(found['app/site/html/index.html']?.body).toBe('other')
  })

  it('refuses an output that is missing or that a link leads outside', async () => {
    await symlink('/etc', path.join(root, 'out'))
    await expect(collectOutputs(root, root, [{ from: 'out', to: '.', exclude: [] }])).rejects.toMatchObject({
      code: 'ERR_BUILD',
      message: expect.stringContaining('outside'),
    })
    await expect(collectOutputs(root, root, [{ from: 'dist', to: '.', exclude: [] }])).rejects.toMatchObject({
      code: 'ERR_BUILD',
      message: expect.stringContaining('did not make'),
    })
    await expect(collectOutputs(root, root, [{ from: '../..', to: '.', exclude: [] }])).rejects.toMatchObject({ code: 'ERR_BUILD' })
  })

  it('does not follow a link that replaced a file after it was listed', async () => {
    await put('page', 'text')
    const entries = await collectOutputs(root, root, everything)
    await rm(path.join(root, 'page'))
    await symlink('/etc/passwd', path.join(root, 'page'))
    await expect(pack(entries)).rejects.toThrow(/ELOOP/)
  })
})
