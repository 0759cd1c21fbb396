import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { api, deployByCli, folder } from '../support/journey'
import { type RunningPlatform, startPlatform, type Visit } from '../support/platform'

/** Says what of a request reached the app. */
const mirror = `const http = require('node:http')
http.createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ url: request.url, host: request.headers.host, authorization: request.headers.authorization ?? null, cookie: request.headers.cookie ?? null }))
}).listen(process.env.PORT, process.env.HOST)`

describe.each(['lean', 'http-proxy'] as const)('on the engine %s', (engine) => {
  let platform: RunningPlatform
  let outside: Server
  let outsideHost: string
  const folders: Awaited<ReturnType<typeof folder>>[] = []

  beforeAll(async () => {
    outside = createServer((req, res) => res.end(`outside ${req.url} for ${req.headers.host}`))
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve))
    outsideHost = `127.0.0.1:${(outside.address() as AddressInfo).port}`
    platform = await startPlatform({ runtime: 'process', env: { EDGE_REWRITE_HOSTS: outsideHost, EDGE_ENGINE: engine } })
  }, 120_000)
  afterAll(async () => {
    await platform?.stop()
    outside?.close()
    await Promise.all(folders.map((one) => one.remove()))
  })

  async function deploy(name: string, files: Record<string, string>) {
    const source = await folder(files)
    folders.push(source)
    const deployed = await deployByCli(platform, source.directory, name)
    expect(deployed.code, deployed.stderr).toBe(0)
    return deployed
  }

  function ask(host: string, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Visit> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: platform.edgePort, path, method, headers: { host, ...headers }, agent: false }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }))
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end()
    })
  }
  const where = async (host: string, path: string) => {
    const { status, headers } = await ask(host, path)
    return headers.location === undefined ? String(status) : `${status} ${headers.location}`
  }
  const setRules = async (project: string, patch: object) => {
    const answer = await api<{ newTokens: string[] }>(platform, 'PATCH', `/projects/${project}/rules`, patch)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }

  test('a site of files obeys its vercel.json, _redirects and _headers, and what is wrong in them is in the log', async () => {
    const { result } = await deploy('site', {
      'index.html': '<h1>home</h1>',
      'about.html': 'about',
      'kept.html': 'kept',
      '404.html': 'lost',
      'vercel.json': JSON.stringify(
        {
          cleanUrls: true,
          redirects: [
            { source: '/old/:slug*', destination: '/about?from=:slug' },
            { source: '/ext', destination: 'https://example.com/x', permanent: false },
            { source: '/(', destination: '/' },
          ],
          rewrites: [{ source: '/alias', destination: '/about' }],
          headers: [{ source: '/(.*)', headers: [{ key: 'X-From', value: 'vercel' }] }],
        },
        null,
        2,
      ),
      _redirects: ['/kept /elsewhere 302', '/moved/* /about?to=:splat 302!', '/nope /x 302 Country=de', '/outside/* http://HOST/:splat 200']
        .join('\n')
        .replace('HOST', outsideHost),
      _headers: '/about\n  Cache-Control: public, max-age=60\n  Content-Length: 7\n',
    })
    const host = 'site.localhost'
    expect(await where(host, '/about.html')).toBe('308 /about')
    expect(await where(host, '/old/a/b?x=1')).toBe('308 /about?from=a%2Fb&x=1')
    expect(await where(host, '/ext')).toBe('307 https://example.com/x')
    expect(await where(host, '/moved/z')).toBe('302 /about?to=z')
    const about = await ask(host, '/about')
    expect(about).toMatchObject({ status: 200, body: 'about' })
    expect(about.headers).toMatchObject({ 'x-from': 'vercel', 'cache-control': 'public, max-age=60', 'content-length': '5' })
    expect(await ask(host, '/alias')).toMatchObject({ status: 200, body: 'about' })
    expect(await ask(host, '/kept')).toMatchObject({ status: 200, body: 'kept' })
    expect(await ask(host, '/nowhere')).toMatchObject({ status: 404, body: 'lost' })
    expect(await ask(host, '/outside/a?b=c')).toMatchObject({ status: 200, body: `outside /a?b=c for ${outsideHost}` })
    const log = await fetch(`${platform.url}/api/v1/deployments/${result.deploymentId}/logs?follow=0`, {
      headers: { authorization: `Bearer ${platform.apiKey}` },
    }).then((answer) => answer.text())
    expect(log).toMatch(/vercel\.json:13: this rule is left out/)
    expect(log).toContain('_redirects:3: the condition \\"Country=de\\" is not supported')
    expect(log).toMatch(/_headers:3: the header Content-Length is not set by rules: this line is left out/)
  })

  test('rules that a build writes among its public files hold, and those of the source are not taken twice', async () => {
    const { result } = await deploy('built', {
      'package.json': JSON.stringify({ name: 'built', private: true }),
      'build.js':
        "const fs = require('node:fs')\nfs.mkdirSync('dist', { recursive: true })\nfs.writeFileSync('dist/index.html', 'made')\nfs.writeFileSync('dist/_redirects', '/made /new 302!\\n/same /s 302!')",
      'public/_redirects': '/same /s 302!',
      'switchyard.json': JSON.stringify({ name: 'built', buildCommand: 'node build.js', outputDirectory: 'dist' }),
    })
    expect(await where('built.localhost', '/made')).toBe('302 /new')
    expect(await where('built.localhost', '/same')).toBe('302 /s')
    expect((await ask('built.localhost', '/_redirects')).status).toBe(404)
    const { body } = await api<{ files: { redirects: unknown[] } }>(platform, 'GET', '/projects/built/rules')
    expect(body.files.redirects).toHaveLength(2)
    expect(result.status).toBe('ACTIVE')
  })

  test('an app gets rewritten paths, and rewrites lead to another project of the team', async () => {
    await deploy('mirror', {
      'package.json': JSON.stringify({ name: 'mirror', private: true, scripts: { start: 'node server.js' } }),
      'server.js': mirror,
      'switchyard.json': JSON.stringify({
        rewrites: [
          { source: '/u/:id', destination: '/user?id=:id' },
          { source: '/site/:path*', destination: 'project:site/:path*' },
          { source: '/evil/(.*)', destination: 'http://127.0.0.1:1/$1' },
        ],
        rateLimits: [{ source: '/limited', requests: 2, windowSeconds: 60 }],
      }),
    })
    const host = 'mirror.localhost'
    expect(JSON.parse((await ask(host, '/u/7?a=1')).body)).toMatchObject({ url: '/user?id=7&a=1', host })
    expect(JSON.parse((await ask(host, '/other?a=1')).body)).toMatchObject({ url: '/other?a=1' })
    expect(await ask(host, '/site/about')).toMatchObject({ status: 200, body: 'about' })
    const refused = await ask(host, '/evil/x')
    expect(refused.status).toBe(502)
    expect(refused.body).toContain('EDGE_REWRITE_HOSTS')
    const limited: Visit[] = []
    // Each worker counts for itself, and every connection may meet another.
    for (let i = 0; i < 40 && !limited.some((answer) => answer.status === 429); i += 1) limited.push(await ask(host, '/limited'))
    expect(limited.at(-1)).toMatchObject({ status: 429, headers: { 'retry-after': expect.stringMatching(/^\d+$/), 'ratelimit-limit': '2' } })
    expect((await ask(host, '/free')).status).toBe(200)
  })

  test('what is set holds at once, before files, without a deployment', async () => {
    const before = (await getDeployments()).length
    await setRules('mirror', { redirects: [{ source: '/u/:id', destination: '/people/:id', status: 307 }], trailingSlash: false })
    expect(await where('mirror.localhost', '/u/7')).toBe('307 /people/7')
    expect(await where('mirror.localhost', '/a/')).toBe('308 /a')
    const view = await api<{ settings: object; files: { rewrites: unknown[] } }>(platform, 'GET', '/projects/mirror/rules')
    expect(view.body.files.rewrites).toHaveLength(3)
    const wrong = await api<{ error: { message: string } }>(platform, 'PATCH', '/projects/mirror/rules', {
      redirects: [{ source: '/(a', destination: '/', status: 307 }],
    })
    expect(wrong).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('redirects 1') } } })
    expect(await where('mirror.localhost', '/u/7')).toBe('307 /people/7')
    await setRules('mirror', { reset: ['redirects', 'trailingSlash'] })
    expect((await ask('mirror.localhost', '/u/7')).status).toBe(200)
    expect((await getDeployments()).length).toBe(before)
  })

  test('maintenance, passwords, tokens and addresses: who may come in', async () => {
    const host = 'mirror.localhost'
    await setRules('mirror', { maintenance: { message: 'Back at ten.', allowedAddresses: [] } })
    const closed = await ask(host, '/', { accept: 'text/html' })
    expect(closed).toMatchObject({ status: 503, headers: { 'retry-after': '300' } })
    expect(closed.body).toContain('Back at ten.')
    await setRules('mirror', { maintenance: null, allowedAddresses: ['192.0.2.1'] })
    expect((await ask(host, '/')).status).toBe(403)
    await setRules('mirror', { reset: ['allowedAddresses'], protection: { kind: 'basic', users: [{ name: 'ann', password: 'correct horse' }] } })
    const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`ann:${password}`).toString('base64')}` })
    expect(await ask(host, '/')).toMatchObject({ status: 401, headers: { 'www-authenticate': expect.stringContaining('Basic') } })
    expect((await ask(host, '/', basic('wrong'))).status).toBe(401)
    const inside = await ask(host, '/', basic('correct horse'))
    expect(inside.status).toBe(200)
    expect(JSON.parse(inside.body).authorization).toBeNull()
    const { newTokens } = await setRules('mirror', { protection: { kind: 'token', keep: [], create: 1 } })
    expect((await ask(host, '/', basic('correct horse'))).status).toBe(401)
    const entered = await ask(host, `/deep?switchyard_token=${newTokens[0]}&a=1`)
    expect(entered).toMatchObject({ status: 303, headers: { location: '/deep?a=1' } })
    const cookie = String(entered.headers['set-cookie']).split(';', 1)[0] ?? ''
    const again = await ask(host, '/deep?a=1', { cookie: `theme=dark; ${cookie}` })
    expect(JSON.parse(again.body)).toMatchObject({ url: '/deep?a=1', cookie: 'theme=dark' })
    // The site's rewrite to a protected project does not lead around its door.
    await setRules('site', { rewrites: [{ source: '/through/:path*', destination: 'project:mirror/:path*' }] })
    expect((await ask('site.localhost', '/through/x')).status).toBe(401)
    expect((await ask('site.localhost', '/through/x', { cookie })).status).toBe(200)
    await setRules('mirror', { protection: null })
    expect((await ask('site.localhost', '/through/x')).status).toBe(200)
  })

  test('rules outlive the control plane and the routers', async () => {
    await setRules('mirror', { redirects: [{ source: '/still', destination: '/here', status: 307 }] })
    await platform.kill('control')
    await platform.kill('router')
    await expect.poll(() => where('mirror.localhost', '/still').catch(() => ''), { timeout: 30_000 }).toBe('307 /here')
  })

  async function getDeployments() {
    return (await api<{ items: { id: string }[] }>(platform, 'GET', '/deployments')).body.items
  }
})
