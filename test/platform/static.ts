import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { api, cli, deployByCli, folder, getDeployment, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { until } from '../support/processes'

const page = (text: string) => ({
  'index.html': `<h1>${text}</h1>`,
  'about.html': 'about',
  '404.html': 'nothing here',
  'style.css': 'p { color: red }',
})

/** Asks again and again until stopped; keeps every answer that is no success. */
function visitors(platform: RunningPlatform, hostname: string) {
  const failures: string[] = []
  const seen = new Set<string>()
  let stopped = false
  const ended = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!stopped) {
        const answer = await platform.visit(hostname).catch((error: Error) => ({ status: 0, body: error.message }))
        if (answer.status === 200) seen.add(answer.body)
        else failures.push(`${answer.status} ${answer.body.slice(0, 100)}`)
      }
    }),
  )
  return {
    async stop() {
      stopped = true
      await ended
      return { failures, seen: [...seen] }
    },
  }
}

/** Sites without a server, from deployment to restart; for one runtime. */
export function describeStaticSites(runtime: 'process' | 'docker'): void {
  describe(`sites of files alone on the ${runtime} runtime`, () => {
    let platform: RunningPlatform
    let site: Awaited<ReturnType<typeof folder>>
    beforeAll(async () => {
      platform = await startPlatform({ runtime, env: { EDGE_ACCESS_LOG: 'all' } })
      site = await folder(page('one'))
    })
    afterAll(async () => {
      await site?.remove()
      await platform?.stop()
    })

    const deploy = async (name = 'site') => {
      const deployed = await deployByCli(platform, site.directory, name)
      expect(deployed.code, deployed.stderr).toBe(0)
      return deployed.result
    }
    const running = async () => {
      const { body } = await api<{ items: { id: string; slug: string }[] }>(platform, 'GET', '/projects')
      const id = body.items.find((project) => project.slug === 'site')?.id
      const answer = await api<{ items: { state: string }[] }>(platform, 'GET', `/projects/${id}/instances`)
      return answer.body.items.filter((instance) => instance.state !== 'stopped' && instance.state !== 'sleeping').length
    }

    test('the routers answer from the files, and nothing runs', async () => {
      const { deploymentId } = await deploy()
      const home = await platform.visit('site.localhost')
      expect(home).toMatchObject({ status: 200, body: '<h1>one</h1>' })
      expect(home.headers).toMatchObject({ etag: expect.stringMatching(/^"/), 'cache-control': 'public, max-age=0, must-revalidate' })
      expect(await platform.visit(`site-${deploymentId}.localhost`)).toMatchObject({ status: 200, body: '<h1>one</h1>' })
      expect(await platform.visit('site.localhost', '/about')).toMatchObject({ status: 200, body: 'about' })
      expect(await platform.visit('site.localhost', '/nowhere')).toMatchObject({ status: 404, body: 'nothing here' })
      for (const hidden of ['/.switchyard/static-server.mjs', '/../etc/passwd', '/%2e%2e/static-server.mjs'])
        expect((await platform.visit('site.localhost', hidden)).status).toBeGreaterThanOrEqual(400)
      expect(await running()).toBe(0)
      const steps = (await getDeployment(platform, deploymentId)).steps.map((step) => `${step.name} ${step.status}`)
      expect(steps).toEqual(expect.arrayContaining(['start done', 'health done', 'cutover done']))
      await until('the access log says that it came from files', 10_000, async () => {
        const logs = (await readdir(path.join(platform.home, 'log')).catch(() => [])).filter((name) => name.startsWith('access-'))
        const lines = await Promise.all(logs.map((name) => readFile(path.join(platform.home, 'log', name), 'utf8')))
        return lines.join('').includes('"cache":"static"')
      })
    })

    test('a new version is served by every request after the cutover, and no request fails', async () => {
      const load = visitors(platform, 'site.localhost')
      await site.write(page('two'))
      await deploy()
      expect((await platform.visit('site.localhost')).body).toBe('<h1>two</h1>')
      const { failures, seen } = await load.stop()
      expect(failures).toEqual([])
      expect(seen.sort()).toEqual(['<h1>one</h1>', '<h1>two</h1>'])
    })

    test('from files to a server and back, no request fails and nothing is left running', async () => {
      const load = visitors(platform, 'site.localhost')
      await site.write(tinyServer('3'))
      await deploy()
      expect((await platform.visit('site.localhost')).body).toContain('version 3')
      expect(await running()).toBe(1)
      const other = await folder(page('four'))
      const back = await deployByCli(platform, other.directory, 'site')
      expect(back.code, back.stderr).toBe(0)
      expect((await platform.visit('site.localhost')).body).toBe('<h1>four</h1>')
      await until('the server is gone', 60_000, async () => (await running()) === 0)
      expect((await load.stop()).failures).toEqual([])
      await other.remove()
    })

    test('they are served while the control plane is down, by restarted routers too, and found again after a restart', async () => {
      await platform.kill('control')
      await platform.kill('router')
      await until('a new router serves', 30_000, async () => (await platform.visit('site.localhost').catch(() => null))?.body === '<h1>four</h1>')
      await platform.ready()
      await platform.stop({ keep: true })
      await platform.restart()
      await until('it serves again', 30_000, async () => (await platform.visit('site.localhost').catch(() => null))?.body === '<h1>four</h1>')
      expect(await running()).toBe(0)
    })

    test('a health check path that is no page of the site stops the deployment', async () => {
      const { body } = await api<{ items: { id: string; slug: string }[] }>(platform, 'GET', '/projects')
      const id = body.items.find((project) => project.slug === 'site')?.id
      expect((await api(platform, 'PATCH', `/projects/${id}`, { healthCheckPath: '/up' })).status).toBe(200)
      const other = await folder(page('five'))
      const refused = await deployByCli(platform, other.directory, 'site')
      expect(refused).toMatchObject({ code: 1, result: { status: 'FAILED' } })
      expect((await getDeployment(platform, refused.result.deploymentId)).error).toMatchObject({ code: 'ERR_HEALTH_CHECK', step: 'health' })
      expect((await platform.visit('site.localhost')).body).toBe('<h1>four</h1>')
      await other.write({ 'up.html': 'up' })
      expect((await deployByCli(platform, other.directory, 'site')).code).toBe(0)
      expect((await platform.visit('site.localhost')).body).toBe('<h1>five</h1>')
      await other.remove()
    })

    test('answers of an instance that may be shared are kept, until their tag is purged', async () => {
      const app = await folder({
        'package.json': JSON.stringify({ name: 'counter', private: true, scripts: { start: 'node server.js' } }),
        'server.js': `let n = 0
require('node:http').createServer((request, response) => {
  response.setHeader('Cache-Control', 's-maxage=600')
  response.setHeader('Cache-Tag', request.url === '/a' ? 'red' : 'blue')
  response.end(String(request.url === '/' ? 'root' : ++n))
}).listen(process.env.PORT, process.env.HOST)`,
      })
      expect((await deployByCli(platform, app.directory, 'counter')).code).toBe(0)
      const workers = (await platform.pids()).router.length
      // Each router has a cache of its own, and connections are spread over them.
      const answers = async (pathname: string) => {
        const bodies = new Set<string>()
        for (let i = 0; i < 40; i++) bodies.add((await platform.visit('counter.localhost', pathname)).body)
        return bodies
      }
      const before = await answers('/a')
      expect(before.size).toBeLessThanOrEqual(workers)
      const other = await answers('/b')
      expect((await platform.visit('counter.localhost', '/a')).headers['cache-status']).toMatch(/^switchyard; hit/)
      const run = (...more: string[]) => cli(['purge', '--project', 'counter', '--api', platform.url, '--token', platform.apiKey, '--json', ...more])
      expect((await run('--tag', 'green')).stdout).toContain('"entries":0')
      const purged = await run('--tag', 'red')
      expect(purged.code, purged.stderr).toBe(0)
      expect(JSON.parse(purged.stdout).entries).toBe(before.size)
      const after = await answers('/a')
      for (const body of before) expect(after).not.toContain(body)
      expect(await answers('/b')).toEqual(other)
      expect(JSON.parse((await run('--path', '/b')).stdout).entries).toBe(other.size)
      await app.remove()
    })
  })
}
