import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SourceSpec } from '@/builder/builder'
import { AppError } from '@/shared/errors'
import { createLocalStore } from '@/storage/local'
import { type GitServer, startGitServer } from '@/test/support/git-server'
import { defaultSourceLimits, type FetchOptions, fetchSource } from '.'

let base: string
let server: GitServer
let repo: { url: string; sha: string }
const servers: GitServer[] = []

async function startServer(name: string, options: Omit<Parameters<typeof startGitServer>[0], 'root'> = {}): Promise<GitServer> {
  const started = await startGitServer({ root: path.join(base, name), ...options })
  servers.push(started)
  return started
}

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'source-git-'))
  server = await startServer('main')
  repo = await server.createRepo('shop', { 'index.html': 'one', 'bin/run': '#!/bin/sh', 'docs/a.txt': 'a' })
})
afterAll(async () => {
  for (const started of servers) await started.close()
  await rm(base, { recursive: true, force: true })
})

let counter = 0
function options(extra: Partial<FetchOptions> = {}): FetchOptions {
  counter += 1
  const parent = path.join(base, `work-${counter}`)
  return { directory: path.join(parent, 'tree'), storage: createLocalStore(path.join(base, 'blobs')), limits: defaultSourceLimits, ...extra }
}
const git = (url: string, ref: string | null = null, allowPrivateNetwork = true): SourceSpec => ({ kind: 'git', url, ref, allowPrivateNetwork })

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(AppError)
  return error as AppError
}

describe('what arrives', () => {
  test('the default branch, with commit, tree id and sizes, and without .git', async () => {
    const used = options()
    const tree = await fetchSource(git(repo.url), used)
    expect(tree.commit).toEqual({ sha: repo.sha, message: 'First commit', author: 'Ada Test', branch: 'main' })
    expect(tree.treeId).toBe(await server.git('shop', ['rev-parse', `${repo.sha}^{tree}`]))
    expect(tree).toMatchObject({ fileCount: 3, sizeBytes: 13 })
    expect((await readdir(tree.directory)).sort()).toEqual(['bin', 'docs', 'index.html'])
    expect(await readdir(path.dirname(used.directory)), 'nothing is left beside the tree').toEqual(['tree'])
  })

  test('a branch, an annotated tag and an exact old commit', async () => {
    const shaOfBranch = await server.commit('shop', { 'index.html': 'feature' }, { branch: 'feature/checkout', tag: 'v1.0' })
    await server.commit('shop', { 'index.html': 'later' }, { branch: 'feature/checkout' })
    const branch = await fetchSource(git(repo.url, 'feature/checkout'), options())
    expect(branch.commit?.branch).toBe('feature/checkout')
    expect(await readFile(path.join(branch.directory, 'index.html'), 'utf8')).toBe('later')
    expect((await fetchSource(git(repo.url, 'v1.0'), options())).commit).toMatchObject({ sha: shaOfBranch, branch: null })
    const old = await fetchSource(git(repo.url, shaOfBranch), options())
    expect(await readFile(path.join(old.directory, 'index.html'), 'utf8')).toBe('feature')
    expect(old.commit?.sha).toBe(shaOfBranch)
  })

  test('a branch that is named like the id of a commit', async () => {
    const named = 'deadbeef'.repeat(5)
    const sha = await server.commit('shop', { 'index.html': 'named like a commit' }, { branch: named })
    expect((await fetchSource(git(repo.url, named), options())).commit).toMatchObject({ sha, branch: named })
    expect((await fetchSource(git(repo.url, sha), options())).commit).toMatchObject({ sha, branch: null })
  })

  test('an exact commit from a server that refuses to be asked for one', async () => {
    const strict = await startServer('v0', { protocolVersion: 0 })
    const created = await strict.createRepo('old', { a: '1' })
    await strict.commit('old', { a: '2' })
    expect((await fetchSource(git(created.url, created.sha), options())).commit?.sha).toBe(created.sha)
    expect((await failure(fetchSource(git(created.url, 'a'.repeat(40)), options()))).message).toContain('is not in the repository')
  })

  test('a mirror keeps what was fetched, serves two fetches at a time and survives being damaged', async () => {
    const mirrorDirectory = path.join(base, 'mirror')
    const [a, b] = await Promise.all([
      fetchSource(git(repo.url), options({ mirrorDirectory })),
      fetchSource(git(repo.url, 'feature/checkout'), options({ mirrorDirectory })),
    ])
    expect(a?.commit?.sha).toBe(repo.sha)
    expect(b?.commit?.branch).toBe('feature/checkout')
    const sha = await server.commit('shop', { 'new.txt': 'x' }, { branch: 'next' })
    const tree = await fetchSource(git(repo.url, 'next'), options({ mirrorDirectory }))
    expect(tree.commit?.sha).toBe(sha)
    expect((await readdir(tree.directory)).sort()).toEqual(['bin', 'docs', 'index.html', 'new.txt'])
    for (const name of await readdir(path.join(mirrorDirectory, 'objects', 'pack')))
      await rm(path.join(mirrorDirectory, 'objects', 'pack', name), { force: true })
    expect((await fetchSource(git(repo.url, 'next'), options({ mirrorDirectory }))).commit?.sha).toBe(sha)
  })

  test('links that leave the tree are left out and named in the log, others stay', async () => {
    const linked = await server.createRepo('linked', {
      'a/file': 'x',
      'a/inside': { link: '../a/file' },
      passwd: { link: '/etc/passwd' },
      up: { link: '../../outside' },
    })
    const lines: string[] = []
    const tree = await fetchSource(git(linked.url), options({ onLog: (text) => lines.push(text) }))
    expect(await readdir(tree.directory)).toEqual(['a'])
    expect((await readdir(path.join(tree.directory, 'a'))).sort()).toEqual(['file', 'inside'])
    expect(lines.filter((line) => line.includes('Left out the link'))).toHaveLength(2)
  })

  test('hooks and filters of the repository do not run', async () => {
    const marker = path.join(base, 'ran')
    const created = await server.createRepo('filters', {
      '.gitattributes': '* filter=evil\n',
      '.gitconfig': `[filter "evil"]\n smudge = touch ${marker}\n`,
      'hooks/post-checkout': `#!/bin/sh\ntouch ${marker}\n`,
    })
    await fetchSource(git(created.url), options())
    await expect(readFile(marker)).rejects.toThrow('ENOENT')
  })
})

describe('what is refused, and how it is said', () => {
  test('a missing repository', async () => {
    const error = await failure(fetchSource(git(`${server.url}/nope.git`), options()))
    expect(error).toMatchObject({ code: 'ERR_SOURCE' })
    expect(error.message).toContain('was not found')
  })

  test('a missing branch names some that exist', async () => {
    const error = await failure(fetchSource(git(repo.url, 'checkout'), options()))
    expect(error.message).toBe('The repository has no branch or tag “checkout”')
    expect(error.details.nextAction).toMatch(/^Use one that exists: feature\/checkout, main/)
  })

  test('an empty repository', async () => {
    await server.createRepo('empty', {})
    await server.git('empty', ['update-ref', '-d', 'refs/heads/main'])
    expect((await failure(fetchSource(git(server.repositoryUrl('empty')), options()))).message).toContain('empty')
  })

  test('credentials are used, asked for, and never shown', async () => {
    const closed = await startServer('closed', { auth: { username: 'ada', password: 'tok/en:s3cret' } })
    const created = await closed.createRepo('private', { a: '1' })
    const withToken = created.url.replace('http://', `http://ada:${encodeURIComponent('tok/en:s3cret')}@`)
    const lines: string[] = []
    expect((await fetchSource(git(withToken), options({ onLog: (text) => lines.push(text) }))).commit?.sha).toBe(created.sha)
    expect((await failure(fetchSource(git(created.url), options()))).message).toContain('needs credentials')
    const wrong = await failure(fetchSource(git(withToken.replace('s3cret', 'wr0ng'), 'x'), options()))
    expect(wrong.message).toContain('needs credentials')
    const said = JSON.stringify([lines, wrong.message, wrong.details, String(wrong.cause), wrong.stack])
    expect(said).not.toMatch(/s3cret|wr0ng|tok[/%]/)
  })

  test('a redirect is not followed, except to the same repository with .git', async () => {
    let hits = 0
    const target = await startServer('target', {
      intercept: () => {
        hits += 1
        return false
      },
    })
    await target.createRepo('inner', { a: '1' })
    const redirecting = await startServer('redirecting', {
      intercept(request, response) {
        if (request.url?.startsWith('/away')) {
          response.writeHead(302, { location: `${target.url}/inner.git${request.url.slice('/away.git'.length)}` }).end()
          return true
        }
        if (request.url?.startsWith('/plain/')) {
          response.writeHead(301, { location: request.url.replace('/plain/', '/plain.git/') }).end()
          return true
        }
        return false
      },
    })
    hits = 0
    expect((await failure(fetchSource(git(`${redirecting.url}/away.git`), options()))).message).toContain('redirect')
    expect(hits).toBe(0)
    const plain = await redirecting.createRepo('plain', { a: '1' })
    expect((await fetchSource(git(`${redirecting.url}/plain`), options())).commit?.sha).toBe(plain.sha)
  })

  test('loopback without the operator’s permission: nothing is connected to', async () => {
    let hits = 0
    const counting = await startServer('counting', {
      intercept: () => {
        hits += 1
        return false
      },
    })
    for (const url of [counting.url, counting.url.replace('127.0.0.1', 'localhost'), counting.url.replace('http:', 'https:')])
      expect((await failure(fetchSource(git(`${url}/a.git`, null, false), options()))).message).toContain('private network')
    expect(hits).toBe(0)
  })

  test.each([
    '--upload-pack=touch /tmp/pwned',
    '-c',
    'a..b',
    'a b',
    'a\nb',
    'x@{1}',
    '../x',
    'a~1',
    'a^',
    'a:b',
    'x.lock',
    '.hidden',
    'a//b',
    '@',
    'a\0b',
    '*',
  ])('the ref %j never reaches a command line', async (ref) => {
    expect((await failure(fetchSource(git(repo.url, ref), options()))).message).toContain('is not a valid name')
  })

  test('more bytes or files than allowed, before they are written', async () => {
    const created = await server.createRepo('large', { 'a.bin': 'a'.repeat(3_000_000), b: 'b' })
    const small = options({ limits: { ...defaultSourceLimits, maxBytes: 1_000_000 } })
    expect((await failure(fetchSource(git(created.url), small))).message).toContain('larger than')
    expect(await readdir(small.directory)).toEqual([])
    expect((await failure(fetchSource(git(created.url), options({ limits: { ...defaultSourceLimits, maxFiles: 1 } })))).message).toContain(
      'more than the 1 files',
    )
  })
})

describe('other doors', () => {
  test('git:// inside a private network', async () => {
    const { start, killGroup } = await import('@/shared/node/exec')
    const port = await freePort()
    const daemon = start(
      ['git', 'daemon', '--reuseaddr', '--export-all', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${path.join(base, 'main')}`],
      { detached: true, stdio: 'ignore' },
    )
    try {
      await waitForPort(port)
      expect((await fetchSource(git(`git://localhost:${port}/shop.git`), options())).commit?.sha).toBe(repo.sha)
    } finally {
      if (daemon.pid) killGroup(daemon.pid, 'SIGKILL')
    }
  })

  test('ssh: a host that does not answer is a message, not a prompt', async () => {
    const error = await failure(fetchSource(git(`ssh://git@127.0.0.1:${await freePort()}/acme/shop.git`), options()))
    expect(error.code).toBe('ERR_SOURCE')
    expect(error.message).toMatch(/could not be reached|was not found at/)
  })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function waitForPort(port: number): Promise<void> {
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('submodules', () => {
  const auth = { username: 'ada', password: 'token-of-ada' }
  const modules = (entries: Record<string, string>) =>
    Object.entries(entries)
      .map(([folder, url]) => `[submodule "${folder}"]\n\tpath = ${folder}\n\turl = ${url}\n`)
      .join('')
  let own: GitServer
  let lib: { url: string; sha: string }
  const withCredentials = (url: string) => url.replace('http://', `http://${auth.username}:${auth.password}@`)
  const text = (tree: { directory: string }, name: string) => readFile(path.join(tree.directory, name), 'utf8')
  const heard: (string | undefined)[] = []
  let other: GitServer
  beforeAll(async () => {
    own = await startServer('submodules', { auth })
    const inner = await own.createRepo('inner', { 'i.js': 'inner' })
    lib = await own.createRepo('lib', { 's.js': 'sub ok', '.gitmodules': modules({ deep: './../inner.git' }), deep: { commit: inner.sha } })
    await own.commit('lib', { 's.js': 'newer than what is asked for' })
    other = await startServer('elsewhere', {
      intercept(request, response) {
        heard.push(request.headers.authorization)
        response.writeHead(401).end()
        return true
      },
    })
  })
  const shop = async (name: string, url: string) =>
    own.createRepo(name, { a: 'a', '.gitmodules': modules({ 'vendor/lib': url }), 'vendor/lib': { commit: lib.sha } })

  test('arrive at the commit that is linked to, nested ones too, by relative addresses and with the credentials of the repository', async () => {
    const { url, sha } = await shop('relative', '../lib.git')
    const mirrorDirectory = path.join(base, 'mirror-of-submodules')
    for (const used of [options({ mirrorDirectory }), options({ mirrorDirectory })]) {
      const tree = await fetchSource(git(withCredentials(url)), used)
      expect([await text(tree, 'a'), await text(tree, 'vendor/lib/s.js'), await text(tree, 'vendor/lib/deep/i.js')]).toEqual(['a', 'sub ok', 'inner'])
      expect(tree).toMatchObject({ fileCount: 5, treeId: await own.git('relative', ['rev-parse', `${sha}^{tree}`]) })
      expect(await readdir(path.dirname(used.directory))).toEqual(['tree'])
    }
  })

  test('of another host are asked for without the credentials of the repository, and the failure names the setting', async () => {
    const { url } = await shop('foreign', other.repositoryUrl('lib'))
    const error = await failure(fetchSource(git(withCredentials(url)), options()))
    expect(heard).toEqual(heard.map(() => undefined))
    expect(heard.length).toBeGreaterThan(0)
    expect(error.message).toContain('The submodule “vendor/lib” could not be fetched')
    expect(error.details.nextAction).toContain('set submodules of the project to "ignore"')
    expect(JSON.stringify([error.message, error.details])).not.toContain(auth.password)
  })

  test.each([
    ['a file of this machine', 'file:///etc'],
    ['the metadata service', 'https://169.254.169.254/latest.git'],
  ])('are judged as every repository is: %s is refused', async (_, address) => {
    counter += 1
    const { url } = await shop(`hostile-${counter}`, address)
    const error = await failure(fetchSource(git(withCredentials(url)), options()))
    expect(error.code).toBe('ERR_SOURCE')
    expect(error.message).toContain('vendor/lib')
  })

  test('that .gitmodules does not name, and chains that do not end, fail; ignored ones are named in the log and make another source', async () => {
    const stray = await own.createRepo('stray', { a: 'a', lost: { commit: lib.sha } })
    expect((await failure(fetchSource(git(withCredentials(stray.url)), options()))).message).toContain('.gitmodules does not say')
    let { url, sha } = await own.createRepo('chain', { '.gitmodules': modules({ next: './../chain.git' }) })
    for (let level = 0; level < 7; level += 1) sha = await own.commit('chain', { next: { commit: sha } })
    expect((await failure(fetchSource(git(withCredentials(url)), options()))).message).toContain('nest more than 5 deep')
    const lines: string[] = []
    const settings = { submodules: 'ignore', lfs: 'fetch' } as const
    const tree = await fetchSource(git(withCredentials(url)), options({ settings, onLog: (line) => lines.push(line) }))
    expect(lines.join('\n')).toContain('Warning: submodules are not fetched')
    expect(tree.treeId).toMatch(/-without-submodules$/)
  })

  test('count against the limits of the whole source', async () => {
    const { url } = await shop('limited', '../lib.git')
    const limits = { ...defaultSourceLimits, maxFiles: 5 }
    expect((await failure(fetchSource(git(withCredentials(url)), options({ limits })))).message).toContain('more than the 5 files')
  })
})

describe('files of Git LFS', () => {
  const content = 'the large file\n'.repeat(5_000)
  const oid = createHash('sha256').update(content).digest('hex')
  const pointer = (id = oid, size = content.length) => `version https://git-lfs.github.com/spec/v1\noid sha256:${id}\nsize ${size}\n`
  const auth = { username: 'ada', password: 'token-of-ada' }
  const seen: { url: string; authorization: string | undefined }[] = []
  let served = content
  let store: GitServer
  let host: GitServer
  beforeAll(async () => {
    store = await startServer('lfs-store', {
      intercept(request, response) {
        seen.push({ url: 'store', authorization: request.headers.authorization })
        response.end(served)
        return true
      },
    })
    host = await startServer('lfs', {
      auth,
      intercept(request, response) {
        const url = request.url ?? ''
        if (!url.includes('/info/lfs/')) return false
        seen.push({ url, authorization: request.headers.authorization })
        if (!request.headers.authorization) return Boolean(response.writeHead(401).end())
        if (url.endsWith('/object')) return Boolean(response.writeHead(302, { location: `${store.url}/bytes?signed=1` }).end())
        let body = ''
        request.on('data', (chunk) => {
          body += chunk
        })
        request.on('end', () => {
          const { objects } = JSON.parse(body) as { objects: { oid: string; size: number }[] }
          const answers = objects.map((object) =>
            object.oid === oid
              ? { ...object, actions: { download: { href: `${host.url}${url.replace('/objects/batch', '/object')}` } } }
              : { ...object, error: { code: 404, message: 'no such object' } },
          )
          response.writeHead(200, { 'content-type': 'application/vnd.git-lfs+json' }).end(JSON.stringify({ objects: answers }))
        })
        return true
      },
    })
  })
  const repoWith = async (name: string, files: Record<string, string>) =>
    (await host.createRepo(name, files)).url.replace('http://', `http://${auth.username}:${auth.password}@`)

  test('arrive whole, with the credentials of the repository at its own host and nowhere else', async () => {
    const url = await repoWith('large', { 'big.bin': pointer(), 'copy/big.bin': pointer(), small: 'x'.repeat(300) })
    const tree = await fetchSource(git(url), options())
    for (const name of ['big.bin', 'copy/big.bin']) expect(await readFile(path.join(tree.directory, name), 'utf8')).toBe(content)
    expect(seen.map(({ url: asked, authorization }) => [asked.replace(/.*\//, ''), authorization !== undefined])).toEqual([
      ['batch', true],
      ['object', true],
      ['store', false],
    ])
  })

  test('that are not what their pointer names, or not there, fail the deployment and name the setting; ignored ones are named in the log', async () => {
    served = content.replace('large', 'other')
    const changed = await failure(fetchSource(git(await repoWith('changed', { 'big.bin': pointer() })), options()))
    expect(changed.message).toContain('is not what its pointer names')
    served = content + content
    expect((await failure(fetchSource(git(await repoWith('longer', { 'big.bin': pointer() })), options()))).message).toContain(
      'larger than its pointer',
    )
    served = content
    const url = await repoWith('missing', { 'big.bin': pointer('7'.repeat(64), 12_345) })
    const missing = await failure(fetchSource(git(url), options()))
    expect(missing.message).toContain('big.bin')
    expect(missing.details.nextAction).toContain('set Git LFS of the project to "ignore"')
    const lines: string[] = []
    const settings = { submodules: 'fetch', lfs: 'ignore' } as const
    const tree = await fetchSource(git(url), options({ settings, onLog: (line) => lines.push(line) }))
    expect(await readFile(path.join(tree.directory, 'big.bin'), 'utf8')).toContain('git-lfs')
    expect(lines.join('\n')).toContain('Warning: files of Git LFS are not fetched')
    expect(tree.treeId).toMatch(/-without-lfs$/)
  })

  test('that together exceed the limit are not asked for', async () => {
    const url = await repoWith('huge', { 'big.bin': pointer(oid, 4 * 1024 ** 3) })
    const before = seen.length
    expect((await failure(fetchSource(git(url), options()))).message).toContain('larger than the 1 GB')
    expect(seen.length).toBe(before)
  })

  test('are asked for at the address of .lfsconfig, judged as every address is', async () => {
    const url = await repoWith('configured', { 'big.bin': pointer(), '.lfsconfig': '[lfs]\n\turl = http://169.254.169.254/lfs\n' })
    expect((await failure(fetchSource(git(url), options()))).message).toContain('never fetched from')
  })
})

describe('limits while fetching', () => {
  /** A server that begins an answer and never ends it. */
  function stall(onRequest: () => void) {
    return startServer(`stall-${counter}`, {
      intercept(_request, response) {
        response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
        response.write('001e# service=git-upload-pack\n')
        onRequest()
        return true
      },
    })
  }

  test('past the deadline it ends and says so', async () => {
    const stalled = await stall(() => {})
    const error = await failure(fetchSource(git(`${stalled.url}/a.git`), options({ limits: { ...defaultSourceLimits, timeoutMs: 1500 } })))
    expect(error.code).toBe('ERR_SOURCE')
    expect(error.message).toContain('took longer')
  })

  test('cancel stops it and leaves nothing behind', async () => {
    const controller = new AbortController()
    const stalled = await stall(() => controller.abort())
    const used = options({ signal: controller.signal })
    expect((await failure(fetchSource(git(`${stalled.url}/a.git`), used))).code).toBe('ERR_CANCELED')
    expect(await readdir(path.dirname(used.directory))).toEqual(['tree'])
  })

  test('a pack that grows past the limit is cut off while it arrives', async () => {
    const { randomBytes } = await import('node:crypto')
    const created = await server.createRepo('pack', { 'noise.bin': randomBytes(24 * 1024 * 1024) })
    const error = await failure(fetchSource(git(created.url), options({ limits: { ...defaultSourceLimits, maxFetchBytes: 1024 * 1024 } })))
    expect(error.message).toContain('larger than the 1 MB')
  })

  test('a tree that unfolds a thousandfold is refused before it is written', async () => {
    await server.createRepo('bomb', { a: 'x' })
    const blob = await server.git('bomb', ['rev-parse', 'main:a'])
    const { writeFile } = await import('node:fs/promises')
    let entry = `100644 blob ${blob}`
    for (let level = 0; level < 8; level += 1) {
      const listing = path.join(base, 'listing')
      await writeFile(listing, Array.from({ length: 10 }, (_, index) => `${entry}\tf${index}\n`).join(''))
      entry = `040000 tree ${await mktree(listing)}`
    }
    const commit = await server.git('bomb', ['commit-tree', '-m', 'bomb', entry.split(' ')[2] ?? ''])
    await server.git('bomb', ['update-ref', 'refs/heads/main', commit])
    const used = options()
    expect((await failure(fetchSource(git(server.repositoryUrl('bomb')), used))).message).toContain('more than the 100,000 files')
    expect(await readdir(used.directory)).toEqual([])
  })

  async function mktree(listing: string): Promise<string> {
    const { baseEnv, exec } = await import('@/shared/node/exec')
    const result = await exec(['git', '--git-dir', path.join(base, 'main', 'bomb.git'), 'mktree'], {
      env: { ...baseEnv },
      deadlineMs: 10_000,
      input: await readFile(listing),
    })
    return result.stdout.trim()
  }
})
