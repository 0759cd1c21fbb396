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
