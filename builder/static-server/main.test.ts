import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { killGroup, start } from '@/shared/node/exec'

let root: string
let file: string
const running: number[] = []

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

async function serve(...args: string[]) {
  const port = await freePort()
  const child = start([process.execPath, file, '--root', path.join(root, 'site'), ...args], {
    detached: true,
    stdio: 'ignore',
    env: { PORT: String(port), HOST: '127.0.0.1' } as unknown as NodeJS.ProcessEnv,
  })
  if (child.pid) running.push(child.pid)
  const url = `http://127.0.0.1:${port}`
  await expect
    .poll(() =>
      fetch(url).then(
        (answer) => answer.status,
        () => 0,
      ),
    )
    .not.toBe(0)
  return { url, child }
}

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'switchyard-static-'))
  file = path.join(root, 'static-server.mjs')
  const entry = fileURLToPath(new URL('./main.ts', import.meta.url))
  await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: file, logLevel: 'silent' })
  await mkdir(path.join(root, 'site/assets'), { recursive: true })
  const script = 'console.log("hello")'
  await writeFile(path.join(root, 'site/index.html'), '<h1>home</h1>')
  await writeFile(path.join(root, 'site/404.html'), '<h1>lost</h1>')
  await writeFile(path.join(root, 'site/about.html'), '<h1>about</h1>')
  await writeFile(path.join(root, 'site/.env'), 'SECRET=1')
  await writeFile(path.join(root, 'secret.txt'), 'outside')
  await writeFile(path.join(root, 'site/assets/index-BFE4kNSF.js'), script)
  await writeFile(path.join(root, 'site/assets/index-BFE4kNSF.js.br'), brotliCompressSync(script))
})
afterAll(async () => {
  for (const pid of running) killGroup(pid, 'SIGKILL')
  await rm(root, { recursive: true, force: true })
})

describe('the static server', () => {
  it('serves pages with types, clean addresses, and 304 for what the visitor has', async () => {
    const { url } = await serve()
    const home = await fetch(url)
    expect([await home.text(), home.headers.get('content-type')]).toEqual(['<h1>home</h1>', 'text/html;charset=utf-8'])
    expect(await (await fetch(`${url}/about`)).text()).toBe('<h1>about</h1>')
    const again = await fetch(url, { headers: { 'if-none-match': home.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })
  it('lets hashed files be kept for ever, and sends the compressed form where there is one', async () => {
    const { url } = await serve()
    const asset = await fetch(`${url}/assets/index-BFE4kNSF.js`, { headers: { 'accept-encoding': 'br' } })
    expect(asset.headers.get('cache-control')).toContain('immutable')
    expect(asset.headers.get('content-encoding')).toBe('br')
    expect(await asset.text()).toContain('hello')
    expect((await fetch(url)).headers.get('cache-control')).toContain('must-revalidate')
  })
  it('answers 404 with the site’s own page', async () => {
    const { url } = await serve()
    const lost = await fetch(`${url}/nowhere`)
    expect([lost.status, await lost.text()]).toEqual([404, '<h1>lost</h1>'])
  })
  it('gives unknown pages to a single-page app, but not unknown files', async () => {
    const { url } = await serve('--spa')
    const page = await fetch(`${url}/some/route`, { headers: { accept: 'text/html' } })
    expect([page.status, await page.text()]).toEqual([200, '<h1>home</h1>'])
    expect((await fetch(`${url}/missing.js`)).status).toBe(404)
  })
  it('serves nothing outside its directory, no dot files, no other methods', async () => {
    const { url } = await serve()
    for (const address of ['/..%2fsecret.txt', '/%2e%2e/secret.txt', '/.env', '//secret.txt'])
      expect(await (await fetch(`${url}${address}`)).text()).toBe('<h1>lost</h1>')
    expect((await fetch(url, { method: 'POST' })).status).toBe(405)
  })
  it('ends on SIGTERM', async () => {
    const { child } = await serve()
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    expect((await ended)[0]).toBe(0)
  })
})
