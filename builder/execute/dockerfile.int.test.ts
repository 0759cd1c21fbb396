import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectEngine } from '@/builder/engine'
import { noSettings } from '@/shared/build-plan'
import { newId } from '@/shared/node/ids'
import { commitLayer, loadLayer } from './image'
import { collect, dockerSocket, recorder, removeOwned, requestFor, startBuilder, type TestBuilder } from './testing'

const engine = connectEngine(dockerSocket)
const never = new AbortController().signal
const canary = 'canary-9e44b7a1d3'

const server = `require('node:http').createServer((q, s) => s.end('from a Dockerfile')).listen(process.env.PORT || 8080)`
const dockerfile = (...lines: string[]) =>
  ['FROM switchyard/node:24', 'WORKDIR /srv', ...lines, 'EXPOSE 8080', 'CMD ["node", "server.js"]'].join('\n')

/** The engine keeps its cache from one run to the next; a cached step prints nothing. */
const neverCached = newId()

describe('building a Dockerfile', () => {
  let test: TestBuilder
  beforeAll(async () => {
    test = await startBuilder()
  })
  afterAll(async () => {
    await removeOwned(test)
  })
  const build = async (files: Record<string, string>, overrides: Parameters<typeof requestFor>[2] = {}, log = recorder()) => {
    const asked = await requestFor(test, { 'server.js': server, ...files }, overrides)
    return { asked, log, outcome: await test.builder.build(asked, log.events, never) }
  }

  it('makes an image from the platform base, with its port and its own command, tagged by deployment', async () => {
    const { asked, log, outcome } = await build({ Dockerfile: dockerfile('COPY server.js ./') })
    expect(outcome.artifact).toMatchObject({ kind: 'image', framework: 'dockerfile', port: 8080, start: { argv: [] } })
    expect(log.steps.map((step) => [step.step, step.status])).toEqual([
      ['source', 'done'],
      ['detect', 'done'],
      ['build', 'done'],
    ])
    const image = await engine.getImage(`switchyard/${asked.projectSlug}:${asked.deploymentId}`).inspect()
    expect(image.Id).toBe(outcome.artifact.digest)
    expect(image.Config.Labels).toMatchObject({ 'switchyard.projectId': asked.projectId, 'switchyard.installationId': test.installationId })
    expect(image.Config.Cmd).toEqual(['node', 'server.js'])
  })

  it('streams what the commands say and explains the one that fails', async () => {
    const log = recorder()
    const failing = build({ Dockerfile: dockerfile('RUN echo first && echo the disk is made of cheese && exit 9') }, {}, log)
    await expect(failing).rejects.toMatchObject({ code: 'ERR_BUILD', message: expect.stringMatching(/exit code 9[\s\S]*made of cheese/) })
    expect(log.lines).toContainEqual({ step: 'build', stream: 'stdout', text: 'the disk is made of cheese' })
    expect(log.steps.at(-1)?.status).toBe('failed')
  })

  it('says which base image would be there when the named one is not', async () => {
    const failing = build({ Dockerfile: 'FROM nowhere.invalid/nothing:1\n' })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_BUILD', details: { nextAction: expect.stringContaining('switchyard/node:24') } })
  })

  it('gives build variables as secrets only: in no layer, no history, no log; a changed one builds again', async () => {
    const files = {
      Dockerfile: dockerfile(
        'COPY server.js ./',
        `RUN --mount=type=secret,id=API_TOKEN : ${neverCached} && wc -c < /run/secrets/API_TOKEN > length.txt && cat length.txt /run/secrets/API_TOKEN`,
      ),
    }
    const first = await build(files, { env: { API_TOKEN: canary } })
    expect(first.log.text()).toContain('[secret API_TOKEN]')
    expect(first.log.text()).not.toContain(canary)
    const image = await collect(await engine.getImage(first.outcome.artifact.digest).get())
    expect(image.includes(canary)).toBe(false)
    expect(JSON.stringify(await engine.getImage(first.outcome.artifact.digest).history())).not.toContain(canary)
    const second = await build(files, { projectId: first.asked.projectId, env: { API_TOKEN: `${canary}-longer` } })
    expect(second.log.lines.map((line) => line.text)).toContain(String(`${canary}-longer`.length))
  })

  it('leaves out what .dockerignore names', async () => {
    const { log } = await build({
      Dockerfile: dockerfile('COPY . .', `RUN : ${neverCached} && ls -a`),
      '.dockerignore': 'private*\n!private-but-needed\n**/*.log',
      'private.txt': 'x',
      'private-but-needed': 'x',
      'a.log': 'x',
    })
    const listed = log.lines.map((line) => line.text)
    expect(listed).toEqual(expect.arrayContaining(['server.js', 'private-but-needed']))
    expect(listed).not.toContain('private.txt')
    expect(listed).not.toContain('a.log')
  })

  it('uses no layer of an earlier build without cache, nor right after the cache was cleared', async () => {
    const files = { Dockerfile: dockerfile('COPY server.js ./', `RUN echo ran ${neverCached}`) }
    const { asked } = await build(files)
    const ran = async (overrides: object = {}) =>
      (await build(files, { projectId: asked.projectId, ...overrides })).log.lines.some(
        ({ stream, text }) => stream === 'stdout' && text.startsWith('ran '),
      )
    expect(await ran()).toBe(false)
    expect(await ran({ noCache: true })).toBe(true)
    await test.builder.clearCache(asked.projectId)
    expect([await ran(), await ran()]).toEqual([true, false])
  })

  it('stops when it is canceled', async () => {
    const asked = await requestFor(test, { 'server.js': server, Dockerfile: dockerfile('RUN echo now waiting && sleep 4714') })
    const log = recorder()
    const controller = new AbortController()
    const building = test.builder.build(asked, log.events, controller.signal)
    building.catch(() => {})
    await log.saw('now waiting')
    controller.abort()
    await expect(building).rejects.toMatchObject({ code: 'ERR_CANCELED' })
    await expect.poll(() => runningCommands('sleep\u00004714'), { timeout: 10_000 }).toBe(0)
  })

  it('refuses a Dockerfile where apps are processes, and says what to do', async () => {
    const failing = build({ Dockerfile: dockerfile() }, { target: 'bundle' })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_BUILD', details: { nextAction: expect.stringContaining('Docker') } })
  })

  it('packs by commit on engines that want every layer in an archive', async () => {
    await test.builder.prepare()
    const base = await engine.getImage('switchyard/node:24-slim').inspect()
    const content = Buffer.from('packed')
    const spec = {
      baseLayers: base.RootFS.Layers ?? [],
      baseImage: base.Id,
      entries: [
        { name: 'app', type: 'directory' as const, mode: 0o755, size: 0 },
        { name: 'app/x.txt', type: 'file' as const, mode: 0o644, size: content.length, content },
      ],
      owner: { uid: 1000, gid: 1000 },
      config: {
        Env: ['A=1'],
        Cmd: ['node', 'x'],
        Entrypoint: null,
        WorkingDir: '/app',
        User: '1000:1000',
        Labels: { 'switchyard.installationId': test.installationId },
      },
      tag: `switchyard/${test.installationId}:committed`,
    }
    const committed = await engine.getImage((await commitLayer(engine, spec, base.Id)).id).inspect()
    expect(committed.Config).toMatchObject({ User: '1000:1000', WorkingDir: '/app', Cmd: ['node', 'x'] })
    const loaded = await engine.getImage((await loadLayer(engine, { ...spec, tag: `switchyard/${test.installationId}:loaded` })).id).inspect()
    expect(loaded.RootFS.Layers?.length).toBe(committed.RootFS.Layers?.length)
  })

  it('inspects a source without building it', async () => {
    const asked = await requestFor(test, { 'server.js': server, Dockerfile: dockerfile() })
    const { plan, report } = await test.builder.inspect(asked.source, noSettings)
    expect(plan.framework).toBe('dockerfile')
    expect(report.evidence.length).toBeGreaterThan(0)
  })
})

async function runningCommands(text: string): Promise<number> {
  const { readdir, readFile } = await import('node:fs/promises')
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(text)).length
}
