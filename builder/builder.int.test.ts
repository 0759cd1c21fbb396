import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noSettings } from '@/shared/build-plan'
import { maxBuildLogLines } from '@/shared/logs'
import { killGroup, start } from '@/shared/node/exec'
import { newId } from '@/shared/node/ids'
import type { Artifact } from '@/shared/release'
import { createBuilder } from '.'
import { connectEngine } from './engine'
import { openBundle } from './execute/bundle'
import { appWithBuild, collect, dockerSocket, recorder, removeOwned, requestFor, smallApp, startBuilder, type TestBuilder } from './execute/testing'

const engine = connectEngine(dockerSocket)
const canary = 'canary-5b1d0c7e9f'

const containersOf = async (test: TestBuilder) =>
  (await engine.listContainers({ all: true, filters: { label: [`switchyard.installationId=${test.installationId}`] } })).map(
    (container) => container.Id,
  )

/** Command lines of live processes that carry the text in their arguments or environment. */
async function processesWith(text: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const [command, env] = await Promise.all(['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')))
    if (command?.includes(text) || env?.includes(text)) found.push(`${pid} ${command}`)
  }
  return found
}

async function answerOf(url: string): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}

/** Starts the image and asks it. */
async function askImage(artifact: Artifact): Promise<string> {
  const container = await engine.createContainer({
    Image: artifact.digest,
    Env: [`PORT=${artifact.port}`],
    HostConfig: { CapDrop: ['ALL'], ReadonlyRootfs: true, Init: true },
  })
  try {
    await container.start()
    const { NetworkSettings } = await container.inspect()
    const address = Object.values(NetworkSettings.Networks)[0]?.IPAddress
    return await answerOf(`http://${address}:${artifact.port}/`)
  } finally {
    await container.remove({ force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

/** Unpacks the bundle, starts it and asks it. */
async function askBundle(test: TestBuilder, artifact: Artifact): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'switchyard-bundle-'))
  const unpack = extract()
  unpack.on('entry', (header, content, next) => {
    const target = path.join(directory, header.name)
    if (header.type === 'directory') void mkdir(target, { recursive: true }).then(() => next())
    else if (header.type === 'symlink') void symlink(header.linkname ?? '', target).then(() => next())
    else
      void collect(content as unknown as NodeJS.ReadableStream)
        .then((bytes) => (header.type === 'file' ? writeFile(target, bytes, { mode: header.mode ?? 0o644 }) : undefined))
        .then(() => next())
    if (header.type !== 'file') content.resume()
  })
  await pipeline(await openBundle(test.storage, artifact.digest), unpack as unknown as NodeJS.WritableStream)
  const port = await freePort()
  const [file = '', ...args] = artifact.start.argv
  const env = { ...process.env, ...artifact.start.env, PORT: String(port), HOST: '127.0.0.1' }
  const child = start([file, ...args], { cwd: directory, stdio: 'ignore', detached: true, env: env as NodeJS.ProcessEnv })
  try {
    return await answerOf(`http://127.0.0.1:${port}/`)
  } finally {
    if (child.pid) killGroup(child.pid, 'SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
}

const never = new AbortController().signal

describe.each(['image', 'bundle'] as const)('building a %s', (target) => {
  let test: TestBuilder
  beforeAll(async () => {
    test = await startBuilder()
    await test.builder.prepare()
  })
  afterAll(async () => {
    await removeOwned(test)
  })
  const ask = (artifact: Artifact) => (artifact.kind === 'image' ? askImage(artifact) : askBundle(test, artifact))
  const request = (files: Record<string, string>, overrides: Parameters<typeof requestFor>[2] = {}) =>
    requestFor(test, files, { target, ...overrides })
  /** The error a build ends with; nothing of it may be left. */
  const failureOf = async (files: Record<string, string>, overrides: Parameters<typeof requestFor>[2] = {}) => {
    const log = recorder()
    const asked = await request(files, overrides)
    const error = await test.builder.build(asked, log.events, never).then(
      () => null,
      (reason: unknown) => reason,
    )
    expect(await containersOf(test)).toEqual([])
    expect(await processesWith(asked.deploymentId)).toEqual([])
    return { error, log }
  }

  it('makes an artifact that runs, by its dependencies', async () => {
    const log = recorder()
    const outcome = await test.builder.build(await request(smallApp), log.events, never)
    expect(outcome.artifact.kind).toBe(target)
    expect(await test.builder.artifactExists(outcome.artifact)).toBe(true)
    expect(log.steps.map((step) => step.step)).toEqual(['source', 'detect', 'install', 'package'])
    expect(await ask(outcome.artifact)).toBe('one day is 1d')
    expect(await containersOf(test)).toEqual([])
  })

  it('records the very Node that the build ran on, on which the app runs', async () => {
    const seen = { 'build.js': "require('node:fs').writeFileSync('built.txt', process.version)" }
    const server =
      "const built = require('node:fs').readFileSync('built.txt', 'utf8'); require('node:http').createServer((q, s) => s.end(built + ' ' + process.version)).listen(process.env.PORT, '0.0.0.0')"
    const { artifact } = await test.builder.build(
      await request(appWithBuild('node build.js', { ...seen, 'server.js': server })),
      recorder().events,
      never,
    )
    expect(artifact.nodeVersion).toMatch(/^\d+\.\d+\.\d+$/)
    const [built, run] = (await ask(artifact)).split(' ')
    expect(built).toBe(`v${artifact.nodeVersion}`)
    // A bundle runs on the Node that its runtime finds by the version; see the contract of runtimes.
    if (target === 'image') expect(run).toBe(built)
  })

  it('puts the very pnpm of the build into an artifact whose start command calls it', async () => {
    const server =
      "require('node:http').createServer((q, s) => s.end(require('node:fs').readFileSync('built.txt', 'utf8') + ' ' + process.env.npm_config_user_agent)).listen(process.env.PORT, '0.0.0.0')"
    const manifest = {
      packageManager: 'pnpm@10.34.8',
      scripts: { build: 'pnpm --version > built.txt', start: 'pnpm --silent run serve', serve: 'node server.js' },
    }
    const files = { 'package.json': JSON.stringify(manifest), 'server.js': server }
    const { artifact } = await test.builder.build(await request(files), recorder().events, never)
    expect(artifact.packageManager).toBe('pnpm@10.34.8')
    expect(await ask(artifact)).toMatch(/^10\.34\.8\n pnpm\/10\.34\.8 /)
  })

  it('skips the install when only the source has changed, and ships the change', async () => {
    const first = await request(smallApp)
    await test.builder.build(first, recorder().events, never)
    const log = recorder()
    const changed = { ...smallApp, 'server.js': smallApp['server.js']?.replace('one day is', 'a day is') ?? '' }
    const outcome = await test.builder.build(await request(changed, { projectId: first.projectId }), log.events, never)
    expect(log.steps).toContainEqual({ step: 'install', status: 'done', cached: true })
    expect(await ask(outcome.artifact)).toBe('a day is 1d')
  })

  it('installs again when the lock file has changed or the directory was damaged', async () => {
    const first = await request(smallApp)
    await test.builder.build(first, recorder().events, never)
    const changed = { ...smallApp, 'package-lock.json': `${smallApp['package-lock.json']}\n` }
    const log = recorder()
    await test.builder.build(await request(changed, { projectId: first.projectId }), log.events, never)
    expect(log.steps).toContainEqual({ step: 'install', status: 'done', cached: false })
    const lane = path.join(test.home, 'builds/projects', first.projectId, target === 'image' ? 'container-0' : 'host-0')
    await rm(path.join(lane, 'checkout/node_modules/ms'), { recursive: true })
    const again = recorder()
    const outcome = await test.builder.build(await request(changed, { projectId: first.projectId }), again.events, never)
    expect(again.steps).toContainEqual({ step: 'install', status: 'done', cached: false })
    expect(await ask(outcome.artifact)).toBe('one day is 1d')
  })

  it('gives equal trees equal digests, also in another project directory', async () => {
    const first = await test.builder.build(await request(smallApp), recorder().events, never)
    const second = await test.builder.build(await request(smallApp, { projectId: (await request(smallApp)).projectId }), recorder().events, never)
    if (target === 'bundle') expect(second.artifact.digest).toBe(first.artifact.digest)
    else {
      const layers = await Promise.all([first, second].map(async ({ artifact }) => (await engine.getImage(artifact.digest).inspect()).RootFS.Layers))
      expect(layers[1]).toEqual(layers[0])
    }
  })

  it('reuses the artifact of an unchanged tree without running anything', async () => {
    const first = await request(smallApp)
    const made = await test.builder.build(first, recorder().events, never)
    const log = recorder()
    const asked = await request(smallApp, { projectId: first.projectId, reuse: async (key) => (key === made.buildKey ? made.artifact : null) })
    const outcome = await test.builder.build(asked, log.events, never)
    expect(outcome.reused).toBe(true)
    expect(outcome.artifact).toEqual(made.artifact)
    expect(log.steps.filter((step) => step.cached).map((step) => step.step)).toEqual(['install', 'package'])
    expect(log.text()).not.toContain('npm ci')
    const anew = recorder()
    const withoutCache = await test.builder.build({ ...asked, deploymentId: newId(), noCache: true }, anew.events, never)
    expect(withoutCache.reused).toBe(false)
    expect(withoutCache.buildKey).toBe(made.buildKey)
    expect(anew.steps.some((step) => step.cached)).toBe(false)
  })

  it('has another build key for other variables, and none that tells their values', async () => {
    const asked = await request(smallApp)
    const keys = new Set<string>()
    for (const env of [{}, { TOKEN: canary }, { TOKEN: `${canary}2` }] as Record<string, string>[])
      keys.add((await test.builder.build({ ...asked, env, deploymentId: (await request(smallApp)).deploymentId }, recorder().events, never)).buildKey)
    expect(keys.size).toBe(3)
  })

  it('explains a failing build command with its exit code and last lines', async () => {
    const { error, log } = await failureOf(appWithBuild('echo everything is on fire >&2; exit 7'))
    expect(error).toMatchObject({ code: 'ERR_BUILD', details: { step: 'build' } })
    expect(String(error)).toMatch(/exit code 7/)
    expect(String(error)).toMatch(/everything is on fire/)
    expect(log.steps.at(-1)).toEqual({ step: 'build', status: 'failed', cached: false })
  })

  it('really stops when it is canceled, children in other sessions included', async () => {
    const asked = await request(appWithBuild('setsid sleep 4711 & sleep 4711 & echo now waiting; sleep 4711'), { env: { MARK: 'x' } })
    const log = recorder()
    const controller = new AbortController()
    const build = test.builder.build({ ...asked, env: { MARK: asked.deploymentId } }, log.events, controller.signal)
    build.catch(() => {})
    await log.saw('now waiting')
    controller.abort()
    await expect(build).rejects.toMatchObject({ code: 'ERR_CANCELED' })
    expect(await containersOf(test)).toEqual([])
    expect(await processesWith(asked.deploymentId)).toEqual([])
    expect(log.steps.at(-1)?.status).toBe('canceled')
  })

  it('cleans up after a control process that died in the middle of a build', async () => {
    const asked = await request(appWithBuild('echo now waiting; sleep 4715'))
    const log = recorder()
    const orphan = test.builder.build({ ...asked, env: { MARK: asked.deploymentId } }, log.events, never)
    orphan.catch(() => {})
    await log.saw('now waiting')
    const next = await createBuilder(test.options)
    await next.cleanUp(asked.deploymentId)
    expect(await containersOf(test)).toEqual([])
    expect(await processesWith(asked.deploymentId)).toEqual([])
    await expect(orphan).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_(INTERRUPTED|BUILD)$/) })
    await next.cleanUp(asked.deploymentId)
  })

  it('says so when the build runs out of memory', async () => {
    const hog = `const kept = []; for (;;) kept.push(Buffer.alloc(8 << 20, 1))`
    const { error } = await failureOf(appWithBuild('node hog.js', { 'hog.js': hog }), {
      limits: { memoryBytes: 192 * 1024 ** 2, cpus: 2, pids: 256, timeoutMs: 110_000 },
    })
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('out of memory') })
  })

  it('bounds a fork bomb and leaves none of its processes', async () => {
    const bomb = `const { spawn } = require('node:child_process'); let failed = 0; for (let i = 0; i < 400; i++) { const c = spawn('sleep', ['4712']); c.on('error', (e) => { if (!failed++) { console.error(e.message); process.exitCode = 1; setTimeout(() => process.exit(1), 200) } }) }`
    const { error } = await failureOf(appWithBuild('node bomb.js', { 'bomb.js': bomb }), {
      limits: { memoryBytes: 1024 ** 3, cpus: 2, pids: 100, timeoutMs: 110_000 },
    })
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('more processes') })
  })

  it('bounds a log flood', async () => {
    const { error, log } = await failureOf(appWithBuild('yes "a line that is not worth keeping, again and again and again and again"'))
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('output') })
    expect(log.lines.length).toBeLessThan(maxBuildLogLines + 20)
  })

  it('stops a build that takes longer than it may', async () => {
    const { error } = await failureOf(appWithBuild('sleep 4713'), { limits: { memoryBytes: 1024 ** 3, cpus: 2, pids: 256, timeoutMs: 6_000 } })
    expect(error).toMatchObject({ code: 'ERR_BUILD_LIMIT', message: expect.stringContaining('longer') })
  })

  it('lets Node 22 be Node 22, and freezes which one into the artifact', async () => {
    const files = appWithBuild('node --version')
    const manifest = { ...(JSON.parse(files['package.json'] ?? '') as object), engines: { node: '22' } }
    const log = recorder()
    const { artifact } = await test.builder.build(await request({ ...files, 'package.json': JSON.stringify(manifest) }), log.events, never)
    expect(artifact.nodeVersion).toMatch(/^22\./)
    expect(log.lines.some((line) => line.step === 'build' && line.text === `v${artifact.nodeVersion}`)).toBe(true)
  })

  it('hands secrets to the build, and leaves them in no log, file, layer or key', async () => {
    const files = appWithBuild(
      "node -e \"require('fs').writeFileSync('seen.txt', String(process.env.API_TOKEN.length)); console.log('the token is ' + process.env.API_TOKEN)\"",
    )
    const log = recorder()
    const asked = await request(files, { env: { API_TOKEN: canary } })
    const outcome = await test.builder.build(asked, log.events, never)
    expect(log.text()).toContain('the token is [secret API_TOKEN]')
    expect(log.text()).not.toContain(canary)
    expect(JSON.stringify(outcome)).not.toContain(canary)
    const tar = target === 'bundle' ? await openBundle(test.storage, outcome.artifact.digest) : await engine.getImage(outcome.artifact.digest).get()
    const bytes = await collect(tar)
    expect(bytes.includes(canary)).toBe(false)
    expect(bytes.includes('seen.txt')).toBe(true)
    expect(await filesWith(path.join(test.home, 'builds'), canary)).toEqual([])
  })

  it('shows the build nothing of the platform: neither its environment nor its files', async () => {
    process.env.SWITCHYARD_TEST_SECRET = canary
    await writeFile(path.join(test.home, 'master.key'), canary, { mode: 0o600 })
    const marker = await mkdtemp(path.join(tmpdir(), 'sy-marker-'))
    const files = appWithBuild(
      `ls /tmp; grep NoNewPrivs /proc/self/status; env; id -u; cat ${test.home}/master.key || echo cannot read the key; ls ${test.home} || echo cannot list the home`,
    )
    const log = recorder()
    await test.builder.build(await request(files), log.events, never)
    delete process.env.SWITCHYARD_TEST_SECRET
    await rm(marker, { recursive: true })
    expect(log.text()).not.toContain(path.basename(marker))
    expect(log.text()).toMatch(/NoNewPrivs:\s+1/)
    expect(log.text()).not.toContain(canary)
    expect(log.text()).toContain('cannot read the key')
    expect(log.lines.map((line) => line.text)).not.toContain('0')
  })

  it('refuses to ship what lies outside the project', async () => {
    const files = {
      'package.json': JSON.stringify({ name: 'site', private: true, scripts: { build: 'rm -rf out; ln -s /etc out' } }),
      'index.html': 'x',
    }
    const { error } = await failureOf(files, {
      settings: { ...noSettings, outputDirectory: 'out' },
    })
    expect(error).toMatchObject({ code: 'ERR_BUILD', message: expect.stringContaining('outside') })
  })

  it('serves the artifact as a zip', async () => {
    const outcome = await test.builder.build(await request(smallApp), recorder().events, never)
    const zip = await collect(await test.builder.download(outcome.artifact))
    expect(zip.subarray(0, 2).toString()).toBe('PK')
    for (const name of ['server.js', 'node_modules/ms/index.js']) expect(zip.includes(name)).toBe(true)
    await expect.poll(() => containersOf(test)).toEqual([])
  })

  it('serves a static site by the platform, with a page for what is not there', async () => {
    const outcome = await test.builder.build(await request({ 'index.html': '<h1>plain</h1>', '404.html': 'lost' }), recorder().events, never)
    expect(outcome.artifact.kind).toBe('bundle')
    expect(await ask(outcome.artifact)).toBe('<h1>plain</h1>')
  })

  it('removes an artifact', async () => {
    const outcome = await test.builder.build(await request({ 'index.html': `<h1>gone ${target}</h1>` }), recorder().events, never)
    await test.builder.removeArtifact(outcome.artifact)
    expect(await test.builder.artifactExists(outcome.artifact)).toBe(false)
    await test.builder.removeArtifact(outcome.artifact)
  })
})

describe('the images a build starts from', () => {
  let test: TestBuilder
  beforeAll(async () => {
    test = await startBuilder()
  })
  afterAll(async () => {
    await removeOwned(test)
  })

  it('are waited for in a step of their own, which a site of files does not need and a second build does not have', async () => {
    const [site, first, second] = [recorder(), recorder(), recorder()]
    await test.builder.build(await requestFor(test, { 'index.html': '<h1>plain</h1>' }), site.events, never)
    expect(site.steps.map((step) => step.step)).toEqual(['source', 'detect', 'package'])
    await test.builder.build(await requestFor(test, appWithBuild('true')), first.events, never)
    expect(first.steps.map((step) => step.step)).toContain('prepare')
    await test.builder.build(await requestFor(test, appWithBuild('true')), second.events, never)
    expect(second.steps.map((step) => step.step)).not.toContain('prepare')
  })
})

/** Files below a directory that hold the text. */
async function filesWith(directory: string, text: string): Promise<string[]> {
  const found: string[] = []
  for (const item of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const file = path.join(item.parentPath, item.name)
    if (item.isFile() && (await readFile(file)).includes(text)) found.push(file)
  }
  return found
}
