import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { baseEnv, exec } from '@/shared/node/exec'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { type CliTarget, interruptCli, root, runCli } from './testing/run-cli'

let platform: RunningPlatform
let target: CliTarget
let work: string

beforeAll(async () => {
  platform = await startPlatform({ runtime: 'process' })
  work = await mkdtemp(path.join(tmpdir(), 'switchyard-cli-test-'))
  target = { api: platform.url, token: platform.apiKey, config: path.join(work, 'config') }
}, 180_000)
afterAll(async () => {
  await platform?.stop()
  if (work) await rm(work, { recursive: true, force: true })
}, 120_000)

async function app(name: string, files: Record<string, string> = {}): Promise<string> {
  const folder = path.join(work, name)
  await cp(path.join(root, 'examples/html'), folder, { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(folder, file), text)
  return folder
}
const server = (body: string) => `require('node:http').createServer((_, res) => { ${body} }).listen(process.env.PORT, process.env.HOST)`
async function nodeApp(name: string, source: string, more: Record<string, string> = {}): Promise<string> {
  return app(name, { 'package.json': JSON.stringify({ name, scripts: { start: 'node server.js', ...more } }), 'server.js': source })
}

it('login checks the key, keeps it, and the commands that follow need no options', async () => {
  const fresh = { ...target, token: '' }
  const wrong = await runCli({ ...fresh, api: '' }, ['login', '--api', platform.url, '--token', 'sy_wrong_key_wrong_key'])
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain('switchyard login')
  expect((await runCli({ ...fresh, api: '' }, ['ls'])).code).toBe(2)
  const right = await runCli({ ...fresh, api: '' }, ['login', '--api', platform.url, '--token', platform.apiKey])
  expect(right.code, right.stderr).toBe(0)
  expect(right.stderr + right.stdout).not.toContain(platform.apiKey)
  expect((await runCli({ ...fresh, api: '' }, ['ls', '--json'])).last).toEqual({ items: expect.any(Array) })
  expect((await runCli({ ...fresh, api: '' }, ['logout'])).code).toBe(0)
  expect((await runCli({ ...fresh, api: '' }, ['ls'])).code).toBe(2)
})

it('deploy makes the project once, goes live, and with --json prints nothing but JSON on stdout', async () => {
  const folder = await app('First App')
  const first = await runCli(target, ['deploy', folder, '--project', 'First App', '--json'])
  expect(first.code, first.stderr).toBe(0)
  for (const line of first.stdout.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  expect(first.last).toMatchObject({ status: 'ACTIVE', framework: 'static', url: `http://first-app.localhost:${platform.edgePort}` })
  expect((await platform.visit('first-app.localhost')).body).toContain('Just a page')
  // The slug names the same project.
  const second = await runCli(target, ['deploy', folder, '--project', 'first-app', '--json'])
  expect(second.last.projectId).toBe(first.last.projectId)
  const projects = (await runCli(target, ['ls', '--json'])).last.items as { slug: string }[]
  expect(projects.filter((project) => project.slug.startsWith('first-app'))).toHaveLength(1)
})

it('without --json the only line on stdout is the address', async () => {
  const run = await runCli(target, ['deploy', await app('plain'), '--project', 'plain'])
  expect(run.code, run.stderr).toBe(0)
  expect(run.stdout).toBe(`http://plain.localhost:${platform.edgePort}\n`)
  expect(run.stderr).toContain('Live:')
  expect(run.stderr).not.toContain('\u001b')
})

it('deploy --pull-request goes live at the preview, not at production, and comments that address', async () => {
  const comments: string[] = []
  const host = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.method === 'POST') comments.push(JSON.parse(body).body)
    response.writeHead(200).end('[]')
  })
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
  const ci = { GITLAB_CI: 'true', GITLAB_TOKEN: 't', CI_PROJECT_ID: '1', CI_API_V4_URL: `http://127.0.0.1:${(host.address() as AddressInfo).port}` }
  try {
    const argv = ['deploy', await app('reviewed'), '--project', 'reviewed', '--pull-request', '7', '--branch', 'login', '--comment']
    const run = await runCli(target, argv, { env: ci })
    expect(run.stdout, run.stderr).toBe(`http://reviewed-pr-7.localhost:${platform.edgePort}\n`)
    // Previews are protected.
    expect((await platform.visit('reviewed-pr-7.localhost')).status).toBe(401)
    expect((await platform.visit('reviewed.localhost')).status).not.toBe(200)
    expect(comments).toEqual([expect.stringContaining(`http://reviewed-pr-7.localhost:${platform.edgePort}\n`)])
  } finally {
    host.close()
  }
})

it('a failing build ends with 1, says the step, what still serves and what to do, and leaves traffic alone', async () => {
  const good = await nodeApp('breaks', server("res.end('version one')"))
  const first = await runCli(target, ['deploy', good, '--project', 'breaks', '--json'])
  expect(first.code, first.stderr).toBe(0)
  await nodeApp('breaks', server("res.end('version two')"), { build: 'echo about to fail; exit 7' })
  const failed = await runCli(target, ['deploy', good, '--project', 'breaks', '--json'])
  expect(failed.code).toBe(1)
  expect(failed.last).toMatchObject({ status: 'FAILED', error: { code: 'ERR_BUILD', message: expect.any(String), nextAction: expect.any(String) } })
  expect(failed.stderr).toContain('about to fail')
  expect(failed.stderr).toMatch(/Step: build/)
  expect(failed.stderr).toContain(`Still serving: Deployment ${first.last.deploymentId}`)
  expect(failed.stderr).toMatch(/Next: /)
  expect((await platform.visit('breaks.localhost')).body).toBe('version one')
})

it('Ctrl-C cancels the deployment and waits until it has stopped', async () => {
  const folder = await nodeApp('interrupted', server("res.end('x')"), { build: 'echo building now; sleep 120' })
  const run = await interruptCli(target, ['deploy', folder, '--project', 'interrupted', '--json'], /building now/)
  expect(run.code, run.stderr).toBe(130)
  expect(run.last).toMatchObject({ status: 'CANCELED' })
})

it('cancel stops the running deployment of a project, and says so when there is none', async () => {
  const folder = await nodeApp('stopped', server("res.end('x')"), { build: 'echo building now; sleep 120' })
  const deployed = runCli(target, ['deploy', folder, '--project', 'stopped', '--json'])
  const asked = (async () => {
    for (;;) {
      const run = await runCli(target, ['cancel', '--project', 'stopped', '--json'])
      if (run.code === 0) return run.last
    }
  })()
  expect(await asked).toMatchObject({ status: 'CANCELED' })
  expect((await deployed).code).toBe(1)
  expect((await runCli(target, ['cancel', '--project', 'stopped'])).stderr).toContain('No deployment of stopped is running')
})

it('deploy is refused while another deployment runs, and says how to wait; --wait-for-turn waits and goes live', async () => {
  const folder = await nodeApp('turns', server("res.end('first')"), { build: 'echo building now; sleep 6' })
  const first = runCli(target, ['deploy', folder, '--project', 'turns', '--json'])
  await expect.poll(async () => (await runCli(target, ['ls', 'turns', '--status', 'building'])).stdout, { timeout: 30_000 }).toContain('Building')
  const next = await nodeApp('turns-next', server("res.end('second')"))
  const refused = await runCli(target, ['deploy', next, '--project', 'turns', '--json'])
  expect([refused.code, refused.last.error]).toEqual([1, expect.objectContaining({ code: 'ERR_DEPLOYMENT_RUNNING' })])
  expect(refused.stderr).toContain('--wait-for-turn')
  const waited = await runCli(target, ['deploy', next, '--project', 'turns', '--wait-for-turn', '--json'])
  expect([(await first).code, waited.code], waited.stderr).toEqual([0, 0])
  expect((await platform.visit('turns.localhost')).body).toBe('second')
})

it('the platform serves its own command, which npm installs and npx runs', async () => {
  const address = `${platform.url}/cli.tgz`
  const served = await fetch(address)
  expect([served.status, served.headers.get('content-type')]).toEqual([200, 'application/gzip'])
  expect(Buffer.from(await served.arrayBuffer())).toEqual(await readFile(path.join(root, 'dist/cli.tgz')))
  expect((await fetch(address, { headers: { 'if-none-match': served.headers.get('etag') ?? '' } })).status).toBe(304)
  const prefix = path.join(work, 'prefix')
  const npmEnv = { ...baseEnv, HOME: work, npm_config_cache: path.join(work, 'npm-cache'), npm_config_update_notifier: 'false' }
  const inWork = (argv: [string, ...string[]], more: Record<string, string> = {}) =>
    exec(argv, { cwd: work, env: { ...npmEnv, ...more }, deadlineMs: 120_000 })
  const installed = await inWork(['npm', 'install', '--global', '--no-audit', '--no-fund', '--prefix', prefix, address])
  expect(installed.code, installed.stderr).toBe(0)
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { version: string }
  expect((await inWork([path.join(prefix, 'bin/switchyard'), '--version'])).stdout).toBe(`${version}\n`)
  const folder = await app('by npx')
  const signedIn = { SWITCHYARD_API: platform.url, SWITCHYARD_TOKEN: platform.apiKey }
  const shipped = await inWork(['npx', '--yes', address, 'deploy', folder, '--project', 'by-npx'], signedIn)
  expect(shipped.stdout, shipped.stderr).toBe(`http://by-npx.localhost:${platform.edgePort}\n`)
})

it('variables are set by argument, by standard input and by a file, listed without values, and reach the app', async () => {
  const folder = await nodeApp('vars', server('res.end(JSON.stringify([process.env.A, process.env.B, process.env.C, process.env.D]))'))
  expect((await runCli(target, ['deploy', folder, '--project', 'vars'])).code).toBe(0)
  expect((await runCli(target, ['env', 'set', 'A=one=1', '--project', 'vars'])).code).toBe(0)
  expect((await runCli(target, ['env', 'set', 'B', '--project', 'vars', '--scope', 'runtime'], { input: 'from stdin\n' })).code).toBe(0)
  const file = path.join(folder, 'some.env')
  await writeFile(file, '# settings\nC="from a file"\nexport D=2\n')
  expect((await runCli(target, ['env', 'set', '--file', file, '--project', 'vars'])).stdout).not.toContain('from a file')
  await rm(file)
  const listed = await runCli(target, ['env', 'ls', '--project', 'vars'])
  expect(listed.stdout).toContain('A')
  expect(listed.stdout).not.toContain('one=1')
  expect((await runCli(target, ['deploy', folder, '--project', 'vars'])).code).toBe(0)
  expect((await platform.visit('vars.localhost')).body).toBe('["one=1","from stdin","from a file","2"]')
  expect((await runCli(target, ['env', 'rm', 'A', '--project', 'vars'])).code).toBe(0)
  expect((await runCli(target, ['env', 'ls', '--project', 'vars', '--json'])).last.items).toEqual([
    expect.objectContaining({ key: 'B', scope: 'runtime' }),
    expect.objectContaining({ key: 'C', scope: 'both' }),
    expect.objectContaining({ key: 'D', scope: 'both' }),
  ])
})

it('a linked folder needs no --project; switchyard.json names the project and its settings', async () => {
  const folder = await app('linked')
  expect((await runCli(target, ['init', folder, '--name', 'From File', '--health-check-path', '/about.html'])).code).toBe(0)
  const run = await runCli(target, ['deploy', folder, '--link', '--json'])
  expect(run.code, run.stderr).toBe(0)
  expect(run.stderr).toContain('/about.html')
  expect(JSON.parse(await readFile(path.join(folder, '.switchyard/project.json'), 'utf8'))).toMatchObject({ slug: 'from-file' })
  const opened = await runCli(target, ['open'], { cwd: folder })
  expect(opened.stdout).toBe(`http://from-file.localhost:${platform.edgePort}\n`)
  expect((await runCli(target, ['ls', 'From File'])).stdout).toContain(String(run.last.deploymentId))
})

it('logs shows the build and the app, and follows until it is told to stop', async () => {
  const folder = await nodeApp('talks', `console.log('the app has started'); ${server("res.end('x')")}`)
  expect((await runCli(target, ['deploy', folder, '--project', 'talks'])).code).toBe(0)
  const followed = await interruptCli(target, ['logs', '--project', 'talks', '--follow'], /the app has started/)
  expect(followed.code).toBe(130)
  const all = await runCli(target, ['logs', '--project', 'talks'])
  expect(all.code, all.stderr).toBe(0)
  expect(all.stdout).toContain('[source]')
  expect(all.stdout).toContain('the app has started')
}, 120_000)

it('requests shows what visitors asked for, and goes on with what they ask for meanwhile', async () => {
  const folder = await nodeApp('asked', server("res.statusCode = _.url.startsWith('/no') ? 404 : 200; res.end()"))
  const { last } = await runCli(target, ['deploy', folder, '--project', 'asked', '--json'])
  const host = new URL(String(last.url)).hostname
  await platform.visit(host, '/first')
  await platform.visit(host, '/no-such-page')
  const shown = async (...argv: string[]) => (await runCli(target, ['requests', '--project', 'asked', ...argv])).stdout
  // Two visitors may have come by two routers, which tell of them each in its time.
  await expect.poll(() => shown(), { timeout: 20_000 }).toMatch(/(?=[\s\S]*200 GET \S+\/first \d)(?=[\s\S]*404 GET \S+\/no-such-page \d)/)
  expect(await shown('--status', '4xx')).not.toContain('/first')
  expect(JSON.parse(await shown('--path', 'FIRST', '--json'))).toMatchObject({ target: '/first', status: 200 })
  const following = interruptCli(target, ['requests', '--project', 'asked', '--follow', '--path', '/later'], /later\/3/)
  for (let i = 0; i < 4; i++) await platform.visit(host, `/later/${i}`)
  expect((await following).stdout).toMatch(/later\/3/)
})
