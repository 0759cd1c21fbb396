import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProjectView } from '@/shared/views'
import { startGitServer } from './support/git-server'
import { api, type CliDeploy, cli, deployByCli, getDeployment, readLogLines } from './support/journey'
import { type RunningPlatform, startPlatform } from './support/platform'
import { freePort } from './support/ports'

/** Small apps that strangers' platforms got wrong, deployed as a user would. Each test says what must happen. */
const cases = fileURLToPath(new URL('fixtures/cases', import.meta.url))
const sha256 = (value: string) => createHash('sha256').update(value).digest('hex')

describe.each(['process', 'docker'] as const)('on the %s runtime', (runtime) => {
  let platform: RunningPlatform
  let registryPort: number
  beforeAll(async () => {
    registryPort = await freePort()
    // Apps and builds reach nothing else of this machine.
    platform = await startPlatform({ runtime, env: { APP_REACH: `127.0.0.1:${registryPort}` } })
  })
  afterAll(() => platform?.stop())

  const deploy = (name: string, project = name) => deployByCli(platform, path.join(cases, name), project)
  const body = async (project: string, pathname = '/') => (await platform.visit(`${project}.localhost`, pathname)).body
  const setVariable = (project: string, key: string, value: string, scope = 'both') =>
    api<{ error?: { message: string } }>(platform, 'PUT', `/projects/${project}/variables/${key}`, { value, scope })
  const createProject = (name: string, more = {}) => api<ProjectView>(platform, 'POST', '/projects', { name, ...more })
  /** Why a deployment failed, and its whole log. */
  async function failure({ result }: CliDeploy): Promise<{ error: string; log: string[] }> {
    const { status, error } = await getDeployment(platform, result.deploymentId)
    expect(status).toBe('FAILED')
    const log = (await readLogLines(platform, result.deploymentId)).map(({ text }) => text)
    return { error: `${error?.message} ${error?.nextAction}`, log }
  }

  it('runs an app on the Node that built it, inside the range it asks for', async () => {
    expect((await deploy('node-engines-20')).result.status).toBe('ACTIVE')
    const { build, run } = JSON.parse(await body('node-engines-20')) as { build: string; run: string }
    expect(build).toMatch(/^v20\./)
    expect(run).toBe(build)
    expect((await deploy('node-engines-20-removed-api')).result.status).toBe('ACTIVE')
  })

  it('says which package the lock file lacks', async () => {
    const { error, log } = await failure(await deploy('lock-out-of-step'))
    expect(`${error}\n${log.join('\n')}`).toContain('is-odd')
    expect(error).toMatch(/lock/i)
  })

  it('ends the log and the error of a failed build with its last words', async () => {
    const { error, log } = await failure(await deploy('lost-last-output'))
    expect(error).toContain('ERROR: the real reason')
    expect(log.some((line) => line.includes('ERROR: the real reason'))).toBe(true)
  })

  it('keeps the text after a progress display, and the end of a long log', async () => {
    await createProject('log-output')
    await setVariable('log-output', 'FAIL', '1', 'build')
    await setVariable('log-output', 'FLOOD', '1', 'build')
    const deployed = await deployByCli(platform, path.join(cases, 'log-output/app'), 'log-output')
    const { error, log } = await failure(deployed)
    const text = log.join('\n')
    expect(text).toContain('FINAL-LINE-AFTER-PROGRESS')
    expect(text).toContain('line 59999')
    expect(error).toContain('ERROR the real reason')
    // Nothing that moves the cursor, sets the title or opens a link reaches a terminal.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
    expect(deployed.stderr).not.toMatch(/\x1b\](0|8);|\x1b\[[0-9;]*[HJ]/)
  })

  it('deploys every ref at its own commit with its submodule, and goes without files of Git LFS only when the project says so', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'sy-git-refs-'))
    await promisify(execFile)('bash', [path.join(cases, 'git-refs/make.sh'), directory])
    const server = await startGitServer({ root: path.join(directory, 'srv') })
    try {
      await createProject('refs', { repository: server.repositoryUrl('refs') })
      const deployRef = async (ref: string | null) => {
        const { body: made } = await api<{ deploymentId: string }>(platform, 'POST', '/deployments', { projectId: 'refs', ref })
        const view = () => getDeployment(platform, made.deploymentId)
        await expect.poll(async () => (await view()).status, { timeout: 300_000, interval: 500 }).not.toMatch(/PENDING|BUILDING|DEPLOYING/)
        return view()
      }
      const { status, error } = await deployRef(null)
      expect([status, error?.message, error?.nextAction]).toEqual(['FAILED', expect.stringContaining('big.bin'), expect.stringContaining('Git LFS')])
      await api(platform, 'PATCH', '/projects/refs', { lfs: 'ignore' })
      const arrived = { space: 'sp', uni: 'un', upper: 'UP', lower: 'lo', link: 'lo', sub: 'sub ok' }
      for (const branch of ['master', 'changeset-release/master', '#SIG-38-x', 'feature/ä-ö', 'v1', 'deadbeef'.repeat(5)]) {
        expect(await deployRef(branch)).toMatchObject({ status: 'ACTIVE', branch })
        expect(JSON.parse(await body('refs'))).toMatchObject({ which: branch, ...arrived })
      }
    } finally {
      await server.close()
      await rm(directory, { recursive: true, force: true })
    }
  })

  describe('values of variables', () => {
    const project = 'env-values'
    beforeAll(async () => {
      await createProject(project)
    })

    it.each([
      ['quotes, newlines and every script', `a'b"c\\d$E\n\t日本語🚀 \`x\` %s`],
      ['an empty one', ''],
      ['spaces alone', '   two  spaces   '],
      ['64 KiB', 'x'.repeat(65_536)],
      ['12 KB of Japanese', '日'.repeat(4_004)],
    ])('reach the app byte for byte: %s', async (_name, value) => {
      expect((await setVariable(project, 'VALUE', value)).status).toBeLessThan(300)
      expect((await deploy('echo', project)).result.status).toBe('ACTIVE')
      expect(JSON.parse(await body(project, '/env?VALUE'))).toMatchObject({ sha: sha256(value) })
    })

    it.each([
      ['VALUE', 'a\0b'],
      ['VALUE', '日'.repeat(50_000)],
      ['PATH', '/nowhere'],
      ['PORT', '1234'],
    ])('that cannot be are refused where they are set: %s', async (key, value) => {
      const refused = await setVariable(project, key, value)
      expect(refused.status).toBe(400)
      expect(JSON.stringify(refused.body)).not.toContain(value.slice(0, 100).replace('\0', ''))
    })
  })

  it('hands heads up to the limit of the router to the app', async () => {
    await deploy('echo')
    const status = (bytes: number) =>
      new Promise<number | undefined>((resolve, reject) => {
        const headers = { host: 'echo.localhost', cookie: `a=${'x'.repeat(bytes)}` }
        request({ port: platform.edgePort, headers, agent: false }, (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        })
          .on('error', reject)
          .end()
      })
    expect(await Promise.all([15_500, 17_000, 31_000].map(status))).toEqual([200, 200, 200])
    expect(await status(34_000)).toBe(431)
  })

  it('keeps an event stream and, where the project allows it, a slow answer that are silent for 150 s', async () => {
    await createProject('idle')
    await api(platform, 'PATCH', '/projects/idle/rules', { answerTimeoutMs: 300_000 })
    await deploy('echo', 'idle')
    const read = (pathname: string) =>
      new Promise<string>((resolve, reject) => {
        request({ port: platform.edgePort, path: pathname, headers: { host: 'idle.localhost' }, agent: false }, (answer) => {
          let text = ''
          answer.on('data', (chunk) => {
            text += chunk
          })
          answer.on('end', () => resolve(text))
          answer.on('error', reject)
        })
          .on('error', reject)
          .end()
      })
    const [events, slow] = await Promise.all([read('/sse'), read('/slow')])
    expect(events).toContain('after-gap')
    expect(slow).toBe('slow done')
  })

  describe('an app that does not listen where it should', () => {
    async function deployMode(mode: string, settings: Record<string, number> = { startSeconds: 8 }) {
      const project = `listen-${mode}`
      await createProject(project)
      await api(platform, 'PATCH', `/projects/${project}`, { runtimeSettings: settings })
      await setVariable(project, 'MODE', mode, 'runtime')
      return deploy('listen', project)
    }

    it.each([
      ['fixed', /listens on 3999, not on \$PORT/],
      ['v6only', /listens on \[::1\]/],
      ['daemon', /background/],
    ])('%s: the message says what is so', async (mode, message) => {
      expect((await failure(await deployMode(mode))).error).toMatch(message)
    })

    it('slow: goes live when the project lets it start for long enough', async () => {
      expect((await deployMode('slow', { startSeconds: 120 })).result.status).toBe('ACTIVE')
    })

    it('nosigterm: is stopped after its grace period', async () => {
      expect((await deployMode('nosigterm', { stopGraceSeconds: 1 })).result.status).toBe('ACTIVE')
      expect((await deployMode('nosigterm', { stopGraceSeconds: 1 })).result.status).toBe('ACTIVE')
    })
  })

  it('lets Next.js keep optimized images and regenerate pages', async () => {
    expect((await deploy('next-image-isr')).result.status).toBe('ACTIVE')
    const image = '/_next/image?url=%2Fpic.png&w=256&q=75'
    await platform.visit('next-image-isr.localhost', image)
    await expect
      .poll(async () => (await platform.visit('next-image-isr.localhost', image)).headers['x-nextjs-cache'], { timeout: 20_000 })
      .toBe('HIT')
    const first = await body('next-image-isr', '/isr')
    await expect.poll(() => body('next-image-isr', '/isr'), { timeout: 30_000, interval: 1000 }).not.toBe(first)
    const { stdout } = await cli(['logs', '--project', 'next-image-isr', '--api', platform.url], { env: { SWITCHYARD_TOKEN: platform.apiKey } })
    expect(stdout).not.toMatch(/EACCES|EROFS|unhandledRejection/)
  })

  describe('a private registry', () => {
    let registry: ChildProcess
    let directory: string
    beforeAll(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'sy-case-'))
      await cp(path.join(cases, 'private-registry/app'), directory, { recursive: true })
      registry = spawn(process.execPath, [path.join(cases, 'private-registry/registry.mjs'), String(registryPort)], { stdio: 'ignore' })
    })
    afterAll(async () => {
      registry?.kill()
      await rm(directory, { recursive: true, force: true })
    })

    it.runIf(runtime === 'process')('asks for its token, and sees versions that were published since', async () => {
      const manifest = path.join(directory, 'package.json')
      const npmrc = path.join(directory, '.npmrc')
      await writeFile(npmrc, `@acme:registry=http://127.0.0.1:${registryPort}/\n//127.0.0.1:${registryPort}/:_authToken=\${NPM_TOKEN}\n`)
      const without = await failure(await deployByCli(platform, directory, 'registry'))
      expect(`${without.error}\n${without.log.join('\n')}`).toMatch(/401/)
      await setVariable('registry', 'NPM_TOKEN', 'secret-token-123', 'build')
      const first = await deployByCli(platform, directory, 'registry')
      expect(first.result.status).toBe('ACTIVE')
      expect(await body('registry')).toContain('1.0.0')
      await fetch(`http://127.0.0.1:${registryPort}/publish?v=1.0.1`)
      await writeFile(path.join(directory, 'changed.txt'), 'so that the tree is another')
      expect((await deployByCli(platform, directory, 'registry')).result.status).toBe('ACTIVE')
      expect(await body('registry')).toContain('1.0.1')
      await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('^1.0.0', '1.0.1'))
      expect((await deployByCli(platform, directory, 'registry')).result.status).toBe('ACTIVE')
      const log = await readLogLines(platform, first.result.deploymentId)
      expect(log.map(({ text }) => text).join('\n')).not.toContain('secret-token-123')
    })
  })
})
