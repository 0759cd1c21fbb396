import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { givenToken } from './context'
import { readCliEnv } from './env'
import { main } from './program'
import { readProjectFile, readSignIn, writeLink, writeSignIn } from './settings'
import { logText, Progress, table } from './terminal'

let home: string
let stdout: string
let stderr: string

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-cli-test-'))
  stdout = ''
  stderr = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    stdout += chunk
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    stderr += chunk
    return true
  })
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(home, { recursive: true, force: true })
})

const env = (more: Record<string, string> = {}) => readCliEnv({ HOME: home, ...more })
const signedIn = { SWITCHYARD_TOKEN: 'key', SWITCHYARD_API: 'http://127.0.0.1:1' }

it.each([
  ['an unknown command', ['deplyo'], /Did you mean deploy/],
  ['an unknown option', ['deploy', '--projekt', 'x'], /Did you mean --project/],
  ['a missing value', ['deploy', '--project'], /argument missing/],
  ['a scope that does not exist', ['env', 'set', 'A=1', '--scope', 'moon'], /Allowed choices are build, runtime, both/],
  ['a variable and a file at once', ['env', 'set', 'A=1', '--file', '.env'], /one variable, or a file/],
  ['neither a variable nor a file', ['env', 'set'], /one variable, or a file/],
  ['a file that is not there', ['env', 'set', '--file', '/nowhere/.env'], /cannot be read \(ENOENT\)/],
  ['a variable name that cannot be one', ['env', 'set', '1A=1'], /letters, digits and underscores/],
  ['an address that is none', ['ls', '--api', 'ftp://x'], /not the address of a dashboard/],
  ['a status that cannot be', ['requests', '--status', '6xx'], /a status \(404\) or a class \(5xx\)/],
  ['a pull request and an environment at once', ['deploy', '-p', 'x', '--pull-request', '7', '--environment', 'staging'], /not both/],
  ['a pull request that is no number', ['deploy', '-p', 'x', '--pull-request', 'login'], /not the number of a pull request/],
  ['a branch without its pull request', ['deploy', '-p', 'x', '--branch', 'login'], /--pull-request NUMBER/],
  ['a tail that is no number', ['logs', 'x', '--tail', 'many'], /not a number of lines/],
])('%s ends with code 2 and says what is wrong', async (_, argv, message) => {
  expect(await main(argv, env(signedIn))).toBe(2)
  expect(stderr).toMatch(message)
  expect(stdout).toBe('')
})

it('deploy --no-cache asks for a build without cache, --pull-request for the preview of its branch, and cache clear says how many bytes were freed', async () => {
  const asked: { method: string; url: string; body: string }[] = []
  const project = { id: 'p1', name: 'shop', slug: 'shop' }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    asked.push({ method: request.method ?? '', url: request.url ?? '', body })
    const answer: unknown = request.url?.endsWith('/build-cache')
      ? { freedBytes: 3 * 1024 * 1024 }
      : request.url?.endsWith('/sources')
        ? { source: `sha256:${'0'.repeat(64)}` }
        : { items: [project], nextCursor: null }
    const refused = request.url?.endsWith('/deployments')
    response.writeHead(refused ? 400 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(refused ? { error: { code: 'ERR_INVALID_INPUT', message: 'enough seen' } } : answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const to = { SWITCHYARD_TOKEN: 'key', SWITCHYARD_API: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    const folder = path.join(home, 'app')
    await mkdir(folder)
    await writeFile(path.join(folder, 'index.html'), 'x')
    for (const more of [[], ['--no-cache'], ['--pull-request', '7', '--branch', 'login']])
      await main(['deploy', folder, '--project', 'shop', ...more], env(to))
    const bodies = asked.filter(({ url }) => url.endsWith('/deployments')).map(({ body }) => JSON.parse(body))
    expect(bodies).toMatchObject([{ noCache: false }, { noCache: true }, { pullRequest: 7, branch: 'login' }])
    expect(bodies[0]).not.toHaveProperty('pullRequest')
    expect(await main(['cache', 'clear', '--project', 'shop', '--yes'], env(to))).toBe(0)
    expect(asked.at(-1)).toMatchObject({ method: 'DELETE', url: '/api/v1/projects/p1/build-cache' })
    expect(stderr).toMatch(/3(\.0)? Mi?B freed/)
  } finally {
    server.close()
  }
})

it('without a sign-in every command says how to sign in', async () => {
  for (const argv of [
    ['ls'],
    ['deploy', home],
    ['logs', 'x'],
    ['requests'],
    ['open'],
    ['env', 'ls'],
    ['domains'],
    ['domains', 'add', 'x.example'],
    ['cancel', 'x'],
    ['rollback', '--project', 'x'],
    ['promote', 'd', '--project', 'x'],
    ['restart', '--project', 'x'],
    ['previews', '--project', 'x'],
    ['link', home, '--project', 'x'],
  ]) {
    stderr = ''
    expect(await main(argv, env())).not.toBe(0)
    expect(stderr).toContain('switchyard login')
  }
})

it('with --json a failure is JSON on stdout too, and the last line', async () => {
  expect(await main(['ls', '--json'], env())).toBe(2)
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ error: { code: 'ERR_INVALID_INPUT' } })
  stdout = ''
  expect(await main(['deploy', home, '--project', 'x', '--json'], env({ SWITCHYARD_TOKEN: 'k', SWITCHYARD_API: 'http://127.0.0.1:1' }))).toBe(1)
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    deploymentId: null,
    status: 'FAILED',
    timings: { total: expect.any(Number) },
  })
})

it('deploy without a terminal does not guess a project name', async () => {
  expect(await main(['deploy', home], env(signedIn))).toBe(2)
  expect(stderr).toContain('--project NAME')
})

it('every command finds the project by the link of the folder, then by the name in switchyard.json', async () => {
  const projects = ['linked', 'named'].map((slug) => ({
    id: `id-${slug}`,
    name: slug,
    slug,
    url: `http://${slug}`,
    health: { state: 'none', message: null, since: null },
    liveDeployment: null,
    latestDeployment: null,
  }))
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const body = request.url?.startsWith('/api/v1/projects?') ? { items: projects, nextCursor: null } : { items: [], nextCursor: null }
    response.writeHead(200, { 'content-type': 'application/json', 'switchyard-version': '9.9.9' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const before = process.cwd()
  try {
    process.chdir(home)
    await writeFile(path.join(home, 'switchyard.json'), '{"name":"named"}')
    const target = env({ SWITCHYARD_TOKEN: 'key', SWITCHYARD_API: api })
    const commands = [['env', 'ls'], ['domains'], ['certs'], ['requests']]
    for (const argv of commands) {
      asked.length = 0
      expect(await main(argv, target)).toBe(0)
      expect([argv, asked.at(-1)]).toEqual([argv, expect.stringContaining('id-named')])
    }
    expect(stderr).toContain(`the server 9.9.9. Get the server's own: npm install -g ${api}/cli.tgz`)
    expect(await main(['open'], target)).toBe(0)
    expect(stdout).toContain('http://named')
    expect(await main(['logs'], target)).toBe(2)
    expect(stderr).toContain('named was not deployed yet')
    // A link to another platform says nothing about this one.
    for (const [link, id] of [
      ['http://elsewhere:3000', 'id-named'],
      [api, 'id-linked'],
    ] as const) {
      await writeLink(home, { projectId: 'id-linked', name: 'linked', slug: 'linked', api: link })
      for (const argv of commands) {
        expect(await main(argv, target)).toBe(0)
        expect([argv, asked.at(-1)]).toEqual([argv, expect.stringContaining(id)])
      }
    }
    await rm(path.join(home, '.switchyard'), { recursive: true })
    await writeFile(path.join(home, 'switchyard.json'), '{"name":"gone"}')
    expect(await main(['env', 'ls'], target)).toBe(2)
    expect(stderr).toContain("There is no project gone, which this folder's switchyard.json names.")
  } finally {
    process.chdir(before)
    server.close()
  }
})

it('--version is the version of the platform it is built with', async () => {
  expect(await main(['--version'], env())).toBe(0)
  expect(stdout.trim()).toBe(JSON.parse(await readFile('package.json', 'utf8')).version)
})

it('init writes switchyard.json once, and anew only with --force', async () => {
  expect(await main(['init', home, '--name', 'My App', '--build-command', 'npm run site'], env())).toBe(0)
  expect(JSON.parse(await readFile(path.join(home, 'switchyard.json'), 'utf8'))).toEqual({ name: 'My App', buildCommand: 'npm run site' })
  expect(await main(['init', home, '--name', 'Other'], env())).toBe(2)
  expect(await main(['init', home, '--name', 'Other', '--force'], env())).toBe(0)
  expect(JSON.parse(await readFile(path.join(home, 'switchyard.json'), 'utf8'))).toEqual({ name: 'Other' })
})

it('switchyard.json may hold rules of the edge beside settings, or nothing else', async () => {
  await writeFile(path.join(home, 'switchyard.json'), '{"redirects":[{"source":"/a","destination":"/b"}],"cleanUrls":true,"buildCommand":"make"}')
  const read = await readProjectFile(home)
  expect(read).toMatchObject({ buildCommand: 'make' })
  expect(read).not.toHaveProperty('redirects')
  expect(read).not.toHaveProperty('name')
})

it('a broken switchyard.json is named with what is wrong in it', async () => {
  await writeFile(path.join(home, 'switchyard.json'), '{"name":"x","rootDirectory":"../up","bildCommand":"x"}')
  expect(await main(['deploy', home], env(signedIn))).toBe(2)
  expect(stderr).toMatch(/rootDirectory: must be a relative path/)
  expect(stderr).toMatch(/bildCommand/)
})

it('the sign-in is readable by its owner only, and logout removes it', async () => {
  const file = await writeSignIn(env().configDirectory, { api: 'http://localhost:3000', token: 'secret' })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readSignIn(env().configDirectory)).toEqual({ api: 'http://localhost:3000', token: 'secret' })
  expect(await main(['logout'], env())).toBe(0)
  expect(await readSignIn(env().configDirectory)).toBeNull()
})

it('a stored key is not sent to another address', async () => {
  await writeSignIn(env().configDirectory, { api: 'http://127.0.0.1:1', token: 'secret' })
  expect(await main(['ls', '--api', 'http://127.0.0.1:2'], env())).toBe(2)
  expect(stderr).toContain('You are signed in to http://127.0.0.1:1, not to http://127.0.0.1:2')
})

it('a link is kept out of Git, once', async () => {
  const link = { projectId: 'p1', name: 'x', slug: 'x', api: 'http://localhost:3000' }
  await mkdir(path.join(home, 'app'))
  await writeFile(path.join(home, 'app/.gitignore'), 'node_modules')
  await writeLink(path.join(home, 'app'), link)
  await writeLink(path.join(home, 'app'), link)
  expect(await readFile(path.join(home, 'app/.gitignore'), 'utf8')).toBe('node_modules\n.switchyard\n')
})

it('an app cannot drive the terminal with its log', () => {
  const text = logText({ step: 'build', stream: 'stdout', text: '\u001b]0;title\u0007\u001b[2J\u001b[31mred\u001b[0m\u0007 \u001b[1Aup' }, true)
  expect(text).toContain('\u001b[31mred\u001b[0m')
  for (const bad of ['\u0007', '\u001b[2J', '\u001b[1A', '\u001b]']) expect(text).not.toContain(bad)
  expect(logText({ step: 'build', stream: 'stdout', text: '\u001b[31mred\u001b[0m' }, false)).toBe('[build] red')
})

it('a table pads by what is seen, not by colour codes', () => {
  expect(
    table([
      ['\u001b[2mA\u001b[22m', 'x'],
      ['long', 'y'],
    ]),
  ).toBe('\u001b[2mA\u001b[22m     x\nlong  y')
})

it('a key is taken from a file; one on the command line works and is warned of', async () => {
  const file = path.join(home, 'key')
  await writeFile(file, 'sy_of_the_file\n')
  const given = (options: object, more: Record<string, string> = {}) => givenToken(readCliEnv({ HOME: home, ...more }), options, new Progress())
  expect(await given({ tokenFile: file }, { SWITCHYARD_TOKEN: 'of the environment' })).toBe('sy_of_the_file')
  expect(await given({}, { SWITCHYARD_TOKEN_FILE: file })).toBe('sy_of_the_file')
  expect(await given({})).toBeNull()
  expect(stderr).toBe('')
  expect(await given({ token: 'sy_seen_by_all' })).toBe('sy_seen_by_all')
  expect(stderr).toContain('list of processes')
  expect(stderr).not.toContain('sy_seen_by_all')
  await expect(given({ tokenFile: path.join(home, 'missing') })).rejects.toThrow('cannot be read')
})
