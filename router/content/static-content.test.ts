import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LocalAnswer, RequestFacts } from '../gate/gate'
import { factsOf, liveRoute } from '../gate/testing'
import { HostTable, type LiveRoute } from '../match/host-table'
import { contentTypeOf, isImmutable } from './content-type'
import { publicPath } from './public-path'
import { StaticFiles } from './static-content'

let root: string
let outside: string
const files = new StaticFiles()
const big = Buffer.alloc(3 * 1024 * 1024, 'abcdefghij')
const script = Buffer.from('export const answer = 42; // and so on\n'.repeat(200))

beforeAll(async () => {
  outside = await mkdtemp(path.join(tmpdir(), 'switchyard-outside-'))
  await writeFile(path.join(outside, 'secret.txt'), 'secret')
  root = path.join(outside, 'site')
  const put = async (name: string, content: string | Buffer) => {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true })
    await writeFile(path.join(root, name), content)
    await utimes(path.join(root, name), 784_111_777, 784_111_777)
  }
  await put('index.html', '<h1>home</h1>')
  await put('about.html', 'about')
  await put('docs/index.html', 'docs')
  await put('404.html', 'nothing here')
  await put('a b/ü.txt', 'blank')
  await put('.env', 'SECRET=1')
  await put('.git/config', 'x')
  await put('.well-known/security.txt', 'mailto:')
  await put('empty.txt', '')
  await put('big.bin', big)
  await put('app.js', script)
  await put('style.css', 'p{}'.repeat(600))
  await put('style.css.gz', gzipSync('p{}'.repeat(600)))
  await put('assets/index-DiwrgTda.js', 'x')
  await symlink(path.join(outside, 'secret.txt'), path.join(root, 'leak.txt'))
  await symlink('..', path.join(root, 'up'))
  await symlink('.env', path.join(root, 'hidden.txt'))
  await symlink('about.html', path.join(root, 'link.html'))
  await symlink('..', path.join(root, 'docs/circle'))
  await symlink('docs', path.join(root, 'alias'))
})
afterAll(async () => {
  files.close()
  await rm(outside, { recursive: true, force: true })
})

const contents = new Map<boolean, NonNullable<LiveRoute['content']>>()
function route(spa = false): LiveRoute {
  const content = contents.get(spa) ?? { digest: 'sha256:1', directory: root, spa }
  contents.set(spa, content)
  return liveRoute({ content })
}
function facts(target: string, headers: Record<string, string> = {}, method = 'GET'): RequestFacts {
  return factsOf(target, { method, host: 'a.test', headers })
}
const find = async (target: string, headers?: Record<string, string>) => files.find(route(), target, facts(target, headers))
const need = async (target: string, headers?: Record<string, string>): Promise<LocalAnswer> => {
  const answer = await find(target, headers)
  if (!answer) throw new Error(`nothing at ${target}`)
  return answer
}
const header = (answer: LocalAnswer, name: string) => answer.headers.find(([key]) => key.toLowerCase() === name)?.[1]
async function body(answer: LocalAnswer): Promise<Buffer> {
  if (answer.body === null || Buffer.isBuffer(answer.body)) return answer.body ?? Buffer.alloc(0)
  const parts: Buffer[] = []
  for await (const part of answer.body.open()) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

describe('paths', () => {
  test.each([
    ['/', '<h1>home</h1>'],
    ['/about', 'about'],
    ['/about.html', 'about'],
    ['/about/', 'about'],
    ['/docs', 'docs'],
    ['/docs/', 'docs'],
    ['/a%20b/%C3%BC.txt', 'blank'],
    ['/.well-known/security.txt', 'mailto:'],
    ['/link', 'about'],
    ['/alias/', 'docs'],
    ['/empty.txt', ''],
  ])('%s is found', async (target, content) => {
    expect((await body(await need(target))).toString()).toBe(content)
  })
  test.each([
    '/nothing',
    '/ABOUT',
    '/.env',
    '/%2eenv',
    '/.git/config',
    '/hidden.txt',
    '/leak.txt',
    '/up/secret.txt',
    '/docs/circle/about',
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/docs/../about.html',
    '/docs%2findex.html',
    '/docs%5cindex.html',
    '/docs\\index.html',
    '//about.html',
    '/docs//index.html',
    '/about.html%00',
    '/about.html%00.txt',
    '/%zz',
    '/%c0%ae%c0%ae/secret.txt',
    '/%252e%252e/secret.txt',
    '/about.html/',
    '*',
    '',
  ])('%s is not', async (target) => {
    expect(await find(target)).toBeNull()
  })
  test('a path is decoded exactly once', () => {
    expect(publicPath('/a%2525')).toBe('a%25')
    expect(publicPath('/%252e%252e/x')).toBe('%2e%2e/x')
  })
})

describe('answers', () => {
  test('the same object again for a plain request, with the same head as bytes', async () => {
    const first = await need('/')
    expect(files.find(route(), '/', facts('/'))).toBe(first)
    expect(first.head?.toString('latin1')).toBe(`HTTP/1.1 200 OK\r\n${first.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`)
    expect(first.cache).toBe('static')
  })
  test('conditions', async () => {
    const etag = header(await need('/'), 'etag') ?? ''
    expect(etag).toMatch(/^"[\w-]{27}"$/)
    const same = await need('/', { 'if-none-match': etag })
    expect(same).toMatchObject({ status: 304, body: null })
    expect(header(same, 'etag')).toBe(etag)
    expect(header(same, 'content-length')).toBeUndefined()
    expect(await need('/', { 'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' })).toMatchObject({ status: 304 })
    expect(await need('/', { 'if-match': '"other"' })).toMatchObject({ status: 412 })
  })
  test.each(['/big.bin', '/app.js'])('%s: every cut into ranges gives the file again', async (target) => {
    const whole = await body(await need(target))
    let seed = 7
    const next = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let round = 0; round < 20; round++) {
      const parts: Buffer[] = []
      for (let at = 0; at < whole.length; ) {
        const last = Math.min(whole.length - 1, at + next(whole.length / 3 + 1))
        const part = await need(target, { range: `bytes=${at}-${last}` })
        expect(part.status).toBe(206)
        expect(header(part, 'content-range')).toBe(`bytes ${at}-${last}/${whole.length}`)
        expect(header(part, 'content-length')).toBe(String(last - at + 1))
        parts.push(await body(part))
        at = last + 1
      }
      expect(Buffer.concat(parts).equals(whole)).toBe(true)
    }
    expect(whole.equals(target === '/app.js' ? script : big)).toBe(true)
  })
  test.each(['/big.bin', '/app.js'])('%s: several ranges come as parts that say where they belong', async (target) => {
    const whole = await body(await need(target))
    const answer = await need(target, { range: 'bytes=-10,0-9,2000-2999,5-19' })
    expect(answer.status).toBe(206)
    const content = await body(answer)
    expect(header(answer, 'content-length')).toBe(String(content.length))
    expect(header(answer, 'content-range')).toBeUndefined()
    const boundary = /^multipart\/byteranges; boundary=([\w-]{24})$/.exec(header(answer, 'content-type') ?? '')?.[1]
    const parts = content.toString('latin1').split(`--${boundary}`)
    expect([parts[0], parts.at(-1)]).toEqual(['', '--\r\n'])
    const type = header(await need(target), 'content-type')
    const ranges = [
      [0, 19],
      [2000, 2999],
      [whole.length - 10, whole.length - 1],
    ] as const
    expect(parts.slice(1, -1)).toEqual(
      ranges.map(
        ([first, last]) =>
          `\r\nContent-Type: ${type}\r\nContent-Range: bytes ${first}-${last}/${whole.length}\r\n\r\n${whole.toString('latin1', first, last + 1)}\r\n`,
      ),
    )
  })
  test('parts that are more than the whole are not sent, nor more than eight', async () => {
    expect(await need('/', { range: 'bytes=0-1,5-6' })).toMatchObject({ status: 200 })
    expect(await need('/app.js', { range: 'bytes=0-3000,3002-' })).toMatchObject({ status: 200 })
    const many = Array.from({ length: 9 }, (_, i) => `${i * 100}-${i * 100}`).join()
    expect(await need('/big.bin', { range: `bytes=${many}` })).toMatchObject({ status: 200 })
  })
  test('a file that is read by many at once is whole for each, also when some leave midway', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => need('/big.bin')))
    const read = answers.map(async (answer, at) => {
      if (answer.body === null || Buffer.isBuffer(answer.body)) throw new Error('it is in memory')
      const stream = answer.body.open() as Readable
      if (at % 2 === 0) return buffer(stream)
      stream.once('data', () => stream.destroy())
      await new Promise((resolve) => stream.once('close', resolve))
      return null
    })
    for (const content of await Promise.all(read)) if (content) expect(content.equals(big)).toBe(true)
  })
  test('416 names the size; a stale If-Range gives the whole; HEAD ignores Range', async () => {
    const beyond = await need('/big.bin', { range: `bytes=${big.length}-` })
    expect(beyond.status).toBe(416)
    expect(header(beyond, 'content-range')).toBe(`bytes */${big.length}`)
    expect(await need('/big.bin', { range: 'bytes=0-1', 'if-range': '"old"' })).toMatchObject({ status: 200 })
    expect(await files.find(route(), '/big.bin', facts('/big.bin', { range: 'bytes=0-1' }, 'HEAD'))).toMatchObject({ status: 200 })
  })
  test('a sibling the build compressed is sent to who takes it, and Vary says so to all', async () => {
    const zipped = await need('/style.css', { 'accept-encoding': 'br, gzip' })
    expect(header(zipped, 'content-encoding')).toBe('gzip')
    expect(header(zipped, 'content-type')).toBe('text/css; charset=utf-8')
    expect(gunzipSync(await body(zipped)).toString()).toBe('p{}'.repeat(600))
    const plain = await need('/style.css')
    expect(header(plain, 'content-encoding')).toBeUndefined()
    for (const answer of [zipped, plain]) expect(header(answer, 'vary')).toBe('Accept-Encoding')
    expect(header(plain, 'etag')).not.toBe(header(zipped, 'etag'))
  })
  test.each([
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
    ['gzip', gunzipSync],
  ] as const)('hot text is compressed beside the requests: %s', async (coding, decompress) => {
    let answer = await need('/app.js', { 'accept-encoding': coding })
    for (const end = Date.now() + 5_000; header(answer, 'content-encoding') !== coding; ) {
      if (Date.now() > end) throw new Error('never compressed')
      await new Promise((resolve) => setTimeout(resolve, 5))
      answer = await need('/app.js', { 'accept-encoding': coding })
    }
    expect(decompress(await body(answer)).equals(script)).toBe(true)
    // Whoever holds the plain one keeps it.
    const etag = header(await need('/app.js'), 'etag') ?? ''
    expect(await need('/app.js', { 'accept-encoding': coding, 'if-none-match': etag })).toMatchObject({ status: 304 })
    // A resumed download that names no representation gets the plain one.
    const part = await need('/app.js', { 'accept-encoding': coding, range: 'bytes=0-9' })
    expect((await body(part)).equals(script.subarray(0, 10))).toBe(true)
  })
  test('a name with a hash is kept for ever, everything else is asked for again', async () => {
    expect(header(await need('/assets/index-DiwrgTda.js'), 'cache-control')).toBe('public, max-age=31536000, immutable')
    expect(header(await need('/app.js'), 'cache-control')).toBe('public, max-age=0, must-revalidate')
  })
})

describe('what is not there', () => {
  const fallback = async (spa: boolean, target: string, headers: Record<string, string> = {}) => files.fallback(route(spa), facts(target, headers))
  test('404.html with 404, never "not modified"', async () => {
    const answer = await fallback(false, '/x', { 'if-none-match': '*' })
    expect(answer).toMatchObject({ status: 404 })
    expect((await body(answer as LocalAnswer)).toString()).toBe('nothing here')
  })
  test('an app in one page answers for pages, not for missing files or for other accepts', async () => {
    expect(await fallback(true, '/users/7', { accept: 'text/html,*/*;q=0.8' })).toMatchObject({ status: 200 })
    expect(await fallback(true, '/users/7')).toMatchObject({ status: 200 })
    expect(await fallback(true, '/assets/old.js')).toMatchObject({ status: 404 })
    expect(await fallback(true, '/api', { accept: 'application/json' })).toMatchObject({ status: 404 })
  })
  test('a directory that is missing is no answer, and is tried again later', async () => {
    const lost = { ...route(), content: { digest: 'sha256:2', directory: path.join(outside, 'later'), spa: false } }
    expect(await files.find(lost, '/', facts('/'))).toBeNull()
    await mkdir(path.join(outside, 'later'))
    await writeFile(path.join(outside, 'later/index.html'), 'now')
    await expect.poll(async () => (await files.find(lost, '/', facts('/')))?.status, { timeout: 5_000 }).toBe(200)
  })
  test('a file or a directory that is there and cannot be read is a fault, never "not found"', async () => {
    const directory = path.join(outside, 'faulty')
    await mkdir(directory)
    await writeFile(path.join(directory, 'x.txt'), 'x')
    const faulty = { ...route(), content: { digest: 'sha256:3', directory, spa: false } }
    expect(await files.find(faulty, '/none', facts('/none'))).toBeNull()
    await rm(path.join(directory, 'x.txt'))
    await mkdir(path.join(directory, 'x.txt'))
    await expect(files.find(faulty, '/x.txt', facts('/x.txt'))).rejects.toThrow()
    expect(await files.page(faulty, '/x.txt', facts('/x.txt'))).toBeNull()
    const file = { ...route(), content: { digest: 'sha256:4', directory: path.join(root, 'app.js'), spa: false } }
    for (let i = 0; i < 2; i++) await expect(files.find(file, '/', facts('/'))).rejects.toThrow()
  })
  test('a table without the site lets it go', async () => {
    files.apply(new HostTable({ version: 1, generatedAt: '', dashboardUrl: '', routes: [] }))
    expect(await need('/about')).toMatchObject({ status: 200 })
  })
})

test.each([
  ['index.html', 'text/html; charset=utf-8'],
  ['a/b.mjs', 'text/javascript; charset=utf-8'],
  ['a.svg', 'image/svg+xml; charset=utf-8'],
  ['site.webmanifest', 'application/manifest+json; charset=utf-8'],
  ['a.wasm', 'application/wasm'],
  ['a.woff2', 'font/woff2'],
  ['LICENSE', 'application/octet-stream'],
  ['.well-known/apple-app-site-association', 'application/json; charset=utf-8'],
])('%s is %s', (name, type) => {
  expect(contentTypeOf(name)).toBe(type)
})

test.each([
  ['_next/static/chunks/main.js', true],
  ['assets/index-DiwrgTda.js', true],
  ['static/js/main.3f2a1b9c.chunk.js', true],
  ['main.5f6e7d8c9b0a.js', true],
  ['assets/my-language.js', false],
  ['assets/img-20240101.jpg', false],
  ['report-20240101.txt', false],
  ['my-application.js', false],
  ['index.html', false],
  ['_astro/page.html', false],
])('%s changes its name with its content: %s', (name, immutable) => {
  expect(isImmutable(name)).toBe(immutable)
})
