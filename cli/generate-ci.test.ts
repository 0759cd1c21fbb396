import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { baseEnv, exec } from '@/shared/node/exec'
import { type CiProvider, ciFiles, ciProviders, renderCiFile } from './ci-file'
import { readCliEnv } from './env'
import { main } from './program'
import { keepComment } from './pull-request-comment'

let work: string
let stdout: string
let stderr: string

beforeEach(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'switchyard-ci-test-'))
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
  await rm(work, { recursive: true, force: true })
})

const settings = { project: 'Shop 2', branch: 'main', folder: 'apps/web', doppler: true, stage: 'deploy' }
const env = (more: Record<string, string> = {}) => readCliEnv({ HOME: work, PATH: baseEnv.PATH, ...more })
const generate = (...more: string[]) => main(['generate-ci', work, ...more], env())
type GithubParser = Awaited<ReturnType<typeof githubParser>>
const fileOf = (provider: CiProvider) => path.join(work, ciFiles[provider].file)

/** GitHub's own parser. It imports JSON without an import attribute, which Node refuses, so it is bundled. */
async function githubParser(): Promise<typeof import('@actions/workflow-parser')> {
  const outfile = path.join(work, 'parser.mjs')
  const entry = { contents: "export * from '@actions/workflow-parser'", resolveDir: import.meta.dirname }
  await build({ stdin: entry, bundle: true, platform: 'node', format: 'esm', outfile, logLevel: 'error' })
  return import(/* @vite-ignore */ pathToFileURL(outfile).href)
}

async function githubErrors({ parseWorkflow, convertWorkflowTemplate, NoOperationTraceWriter }: GithubParser, text: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name: 'switchyard.yml', content: text }, new NoOperationTraceWriter())
  if (value) await convertWorkflowTemplate(context, value)
  return context.errors.getErrors().map(({ message }) => message)
}

it('the workflow is valid by GitHub’s own parser and gives each job the least permissions', async () => {
  const parser = await githubParser()
  const text = renderCiFile('github', settings)
  expect(await githubErrors(parser, text)).toEqual([])
  expect(await githubErrors(parser, renderCiFile('github', { ...settings, doppler: false }))).toEqual([])
  expect(await githubErrors(parser, text.replace('runs-on:', 'runs-at:'))).not.toEqual([])
  expect(await githubErrors(parser, text.replace('github.event_name ==', 'github.event_name ='))).not.toEqual([])
  const { permissions, jobs } = parse(text)
  expect(permissions).toEqual({})
  expect(jobs.production.permissions).toEqual({ contents: 'read' })
  expect(jobs.preview.permissions).toEqual({ contents: 'read', 'pull-requests': 'write' })
  expect(jobs.preview.if).toContain('github.event.pull_request.head.repo.full_name == github.repository')
})

const gitlabRunner = fileURLToPath(import.meta.resolve('gitlab-ci-local'))

/** Jobs that GitLab would run; the runner checks the file by GitLab's published schema first. */
async function gitlabJobs(variables: Record<string, string>): Promise<string[] | string> {
  const given = Object.entries(variables).flatMap(([name, value]) => ['--variable', `${name}=${value}`])
  const {
    code,
    stdout: out,
    stderr: problem,
  } = await exec([process.execPath, gitlabRunner, '--list-csv', '--ignore-predefined-vars', Object.keys(variables).join(), ...given], {
    cwd: work,
    env: { ...baseEnv, HOME: work, NO_COLOR: '1' },
    deadlineMs: 100_000,
  })
  if (code !== 0) return problem
  return out
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(';')[0] ?? '')
}

it('the GitLab file is valid by GitLab’s published schema, and its jobs run for pushes and own merge requests, never for forks', {
  timeout: 300_000,
}, async () => {
  await exec(['git', 'init', '--quiet', work], { env: baseEnv, deadlineMs: 10_000 })
  await exec(['git', '-C', work, 'remote', 'add', 'origin', 'git@gitlab.com:acme/shop.git'], { env: baseEnv, deadlineMs: 10_000 })
  const text = renderCiFile('gitlab', settings)
  await writeFile(fileOf('gitlab'), text)
  const request = { CI_PIPELINE_SOURCE: 'merge_request_event', CI_MERGE_REQUEST_IID: '7', CI_MERGE_REQUEST_PROJECT_ID: '1' }
  expect(await gitlabJobs({ CI_PIPELINE_SOURCE: 'push', CI_COMMIT_BRANCH: 'main' })).toEqual(['switchyard production'])
  expect(await gitlabJobs({ CI_PIPELINE_SOURCE: 'push', CI_COMMIT_BRANCH: 'login' })).toEqual([])
  expect(await gitlabJobs({ ...request, CI_MERGE_REQUEST_SOURCE_PROJECT_ID: '1' })).toEqual(['switchyard preview'])
  expect(await gitlabJobs({ ...request, CI_MERGE_REQUEST_SOURCE_PROJECT_ID: '2' })).toEqual([])
  await writeFile(fileOf('gitlab'), text.replace('resource_group:', 'resource_groups:'))
  expect(await gitlabJobs({ CI_PIPELINE_SOURCE: 'push' })).toContain("'resource_groups' property is not expected")
})

// The part of Bitbucket's published schema (bitbucket.org/product/features/pipelines) that the file may use. Theirs ignores unknown keys of a step.
const bitbucketSteps = z
  .array(z.strictObject({ step: z.strictObject({ name: z.string(), 'max-time': z.number().int().positive(), script: z.array(z.string()).min(1) }) }))
  .min(1)
const bitbucketFile = z.strictObject({
  image: z.string(),
  pipelines: z.strictObject({ branches: z.record(z.string(), bitbucketSteps), 'pull-requests': z.record(z.string(), bitbucketSteps) }),
})

it.each([true, false])('the Bitbucket file has the structure of Bitbucket’s published schema (Doppler: %s)', (doppler) => {
  const { pipelines } = bitbucketFile.parse(parse(renderCiFile('bitbucket', { ...settings, doppler })))
  expect([Object.keys(pipelines.branches), Object.keys(pipelines['pull-requests'])]).toEqual([['main'], ['**']])
})

/** Every shell script in a CI file. */
function scriptsOf(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key === 'run') return [String(value)]
    return key === 'script' ? (value as string[]) : scriptsOf(value)
  })
}

const inCi: Record<CiProvider, Record<string, string>> = {
  github: { PULL_REQUEST: '7', BRANCH: 'login' },
  gitlab: { CI_MERGE_REQUEST_IID: '7', CI_MERGE_REQUEST_SOURCE_BRANCH_NAME: 'login' },
  bitbucket: { BITBUCKET_PR_ID: '7', BITBUCKET_BRANCH: 'login' },
}

it.each(ciProviders)(
  'every script for %s is valid for bash and sh, names a missing secret, and starts the platform’s own command without a secret in an argument',
  async (provider) => {
    const bin = path.join(work, 'bin')
    await mkdir(bin)
    const record = `#!/bin/sh\nprintf '%s\\n' "\${0##*/}" "$@" --end-- >> ${work}/calls\n`
    await writeFile(path.join(bin, 'npx'), record, { mode: 0o755 })
    await writeFile(path.join(bin, 'curl'), `${record}cat >> ${work}/curl-config\n`, { mode: 0o755 })
    const secrets = { SWITCHYARD_API: 'https://deploy.example.com/', SWITCHYARD_TOKEN: 'sy_secret', DOPPLER_TOKEN: 'dp_secret' }
    const scripts = scriptsOf(parse(renderCiFile(provider, settings)))
    expect(scripts).toHaveLength(2)
    for (const script of scripts) {
      const run = (shell: string, more: Record<string, string>, ...flags: string[]) =>
        exec([shell, ...flags, '-c', script], { env: { PATH: `${bin}:${baseEnv.PATH}`, ...more }, deadlineMs: 20_000 })
      for (const shell of ['bash', 'sh']) expect(await run(shell, {}, '-n')).toMatchObject({ code: 0, stderr: '' })
      expect((await run('sh', { ...inCi[provider], SWITCHYARD_API: 'x' })).stderr).toContain('Set SWITCHYARD_TOKEN')
      expect(await run('sh', { ...secrets, ...inCi[provider] })).toMatchObject({ code: 0, stderr: '' })
    }
    const calls = (await readFile(path.join(work, 'calls'), 'utf8')).split('--end--\n').slice(0, -1)
    const started = calls.map((call) => call.trim().split('\n'))
    const cli = ['npx', '--yes', 'https://deploy.example.com/cli.tgz']
    const app = ['deploy', 'apps/web', '--project', 'Shop 2']
    const preview = [...cli, ...app, '--pull-request', '7', '--branch', 'login', '--comment', '--wait-for-turn']
    const setVariables = [...cli, 'env', 'set', '--file', expect.any(String), '--project', 'Shop 2']
    expect(started.slice(1)).toEqual([setVariables, [...cli, ...app, '--wait-for-turn'], preview])
    expect(started[0]?.[0]).toBe('curl')
    expect(calls.join('')).not.toMatch(/sy_secret|dp_secret/)
    expect(await readFile(path.join(work, 'curl-config'), 'utf8')).toBe('header = "Authorization: Bearer dp_secret"\n')
  },
)

it('generate-ci writes the file once, renews its own, and never overwrites a changed one without being told', async () => {
  await mkdir(path.join(work, '.git'))
  expect(await generate('--provider', 'github', '--project', 'shop')).toBe(0)
  const first = await readFile(fileOf('github'), 'utf8')
  for (const name of ['SWITCHYARD_API', 'SWITCHYARD_TOKEN']) expect(stderr).toContain(name)
  // Git on Windows may have changed the line ends.
  await writeFile(fileOf('github'), first.replaceAll('\n', '\r\n'))
  expect(await generate('--project', 'shop', '--branch', 'release', '--doppler')).toBe(0)
  expect(stderr).toContain('DOPPLER_TOKEN')
  const second = await readFile(fileOf('github'), 'utf8')
  expect(second).toContain("branches: ['release']")
  const changed = second.replace('ubuntu-latest', 'our-own-runner')
  await writeFile(fileOf('github'), changed)
  expect(await generate('--project', 'shop')).toBe(2)
  expect(stderr).toContain('--dry-run')
  expect(await readFile(fileOf('github'), 'utf8')).toBe(changed)
  expect(await generate('--project', 'shop', '--yes')).toBe(0)
  expect(await readFile(fileOf('github'), 'utf8')).toBe(first)
})

it('generate-ci --dry-run prints the file and writes nothing', async () => {
  expect(await generate('--provider', 'bitbucket', '--project', 'shop', '--dry-run')).toBe(0)
  expect(Object.keys(parse(stdout))).toEqual(['image', 'pipelines'])
  await expect(readFile(fileOf('bitbucket'))).rejects.toThrow('ENOENT')
})

it('generate-ci takes provider, folder and project from the repository, and asks for what it cannot know', async () => {
  const app = path.join(work, 'apps/web')
  await mkdir(app, { recursive: true })
  await writeFile(path.join(app, 'switchyard.json'), '{"name":"Web Shop"}')
  await exec(['git', 'init', '--quiet', work], { env: baseEnv, deadlineMs: 10_000 })
  const inApp = (...more: string[]) => main(['generate-ci', app, '--dry-run', ...more], env())
  expect(await inApp()).toBe(2)
  expect(stderr).toContain('--provider github|gitlab|bitbucket')
  await exec(['git', '-C', work, 'remote', 'add', 'origin', 'git@bitbucket.org:acme/github-mirror.git'], { env: baseEnv, deadlineMs: 10_000 })
  expect(await inApp()).toBe(0)
  expect(stdout).toContain("deploy 'apps/web' --project 'Web Shop'")
  expect(stdout).toContain('image: node:24')
  expect(await generate('--dry-run')).toBe(2)
  expect(stderr).toContain('--project NAME')
})

it('beside a .gitlab-ci.yml of a person generate-ci writes a file to include, in a stage that exists there', async () => {
  await mkdir(path.join(work, '.git'))
  const own = 'stages: [lint, ship]\nlint:\n  stage: lint\n  script: [!reference [.base, script]]\n'
  await writeFile(fileOf('gitlab'), own)
  expect(await generate('--project', 'shop')).toBe(0)
  expect(await readFile(fileOf('gitlab'), 'utf8')).toBe(own)
  expect(stderr).toContain('- local: .gitlab/switchyard.gitlab-ci.yml')
  const written = parse(await readFile(path.join(work, '.gitlab/switchyard.gitlab-ci.yml'), 'utf8'))
  expect(written['switchyard preview'].stage).toBe('ship')
})

it.each([
  ['--project', "x'; rm -rf / #"],
  ['--project', `\${{ secrets.TOKEN }}`],
  ['--branch', 'main"\n'],
  ['--branch', '**'],
])('generate-ci refuses %s %j, which could change what the file does', async (option, value) => {
  expect(await generate('--provider', 'github', '--project', 'shop', option, value, '--dry-run')).toBe(2)
  expect(stderr).toContain('cannot hold safely')
})

/** A Git host with the comments of pull request 7. */
async function withHost<T>(provider: CiProvider, use: (api: string, comments: Map<number, string>, tokens: Set<string>) => Promise<T>): Promise<T> {
  const comments = new Map(Array.from({ length: 130 }, (_, id) => [id, `**Switchyard: preview of other**\n\n${id}`]))
  const tokens = new Set<string>()
  const present = (id: number, text: string) =>
    provider === 'bitbucket' ? { id, content: { raw: text } } : { id, body: text, system: false, user: { type: id === 0 ? 'User' : 'Bot' } }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    tokens.add(String(request.headers.authorization ?? request.headers['private-token']))
    const url = new URL(request.url ?? '', 'http://host')
    const sent = body ? JSON.parse(body) : null
    const text = sent?.body ?? sent?.content?.raw
    const id = request.method === 'POST' ? comments.size : Number(url.pathname.split('/').at(-1))
    if (text !== undefined) comments.set(id, text)
    const page = Number(url.searchParams.get('page'))
    const rows = [...comments].slice((page - 1) * 100, page * 100).map(([key, value]) => present(key, value))
    const found = text === undefined ? (provider === 'bitbucket' ? { values: rows } : rows) : present(id, text)
    response.writeHead(tokens.has('Bearer wrong') ? 403 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, comments, tokens)
  } finally {
    server.close()
  }
}

const hosts: Record<CiProvider, (api: string) => Record<string, string>> = {
  github: (api) => ({ GITHUB_ACTIONS: 'true', GITHUB_API_URL: api, GITHUB_REPOSITORY: 'acme/shop', GITHUB_TOKEN: 'secret' }),
  gitlab: (api) => ({ GITLAB_CI: 'true', CI_API_V4_URL: api, CI_PROJECT_ID: '1', GITLAB_TOKEN: 'secret' }),
  bitbucket: (api) => ({ BITBUCKET_BUILD_NUMBER: '1', BITBUCKET_API_URL: api, BITBUCKET_REPO_FULL_NAME: 'acme/shop', BITBUCKET_TOKEN: 'secret' }),
}

it.each(ciProviders)('a pull request on %s has one comment, which later deployments change', async (provider) => {
  await withHost(provider, async (api, comments, tokens) => {
    const title = '**Switchyard: preview of shop**'
    const comment = (body: string) => keepComment(env(hosts[provider](api)), 7, title, body)
    await comment('http://first')
    expect(comments.size).toBe(131)
    await comment('http://second')
    expect(comments.size).toBe(131)
    expect(comments.get(130)).toBe(`${title}\n\nhttp://second`)
    expect([...tokens]).toEqual([provider === 'gitlab' ? 'secret' : 'Bearer secret'])
  })
})

it('a comment of a person with the title of ours is left alone on GitHub, and a refused token is named', async () => {
  await withHost('github', async (api, comments) => {
    comments.set(0, '**Switchyard: preview of shop**')
    await keepComment(env(hosts.github(api)), 7, '**Switchyard: preview of shop**', 'x')
    expect([comments.get(0), comments.size]).toEqual(['**Switchyard: preview of shop**', 131])
    const refused = keepComment(env({ ...hosts.github(api), GITHUB_TOKEN: 'wrong' }), 7, 't', 'x')
    await expect(refused).rejects.toMatchObject({
      message: expect.stringContaining('403'),
      details: { nextAction: expect.stringContaining('GITHUB_TOKEN') },
    })
  })
  await expect(keepComment(env({ GITLAB_CI: 'true' }), 7, 't', 'x')).rejects.toThrow('GITLAB_TOKEN is not set')
  await expect(keepComment(env(), 7, 't', 'x')).rejects.toThrow('--comment works in')
})
