import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuildSettings, noSettings } from '@/shared/build-plan'
import type { AppError } from '@/shared/errors'
import { detect } from '.'
import { lockedVersion } from './lock-file'
import { majorsWithin } from './node-version'
import { exposedPort } from './providers/dockerfile'

let base: string
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'detect-'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

let counter = 0
async function tree(files: Record<string, unknown>): Promise<string> {
  counter += 1
  const directory = path.join(base, String(counter))
  await mkdir(directory)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
    await writeFile(path.join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}

async function failure(files: Record<string, unknown>, settings: Partial<BuildSettings> = {}): Promise<AppError> {
  const error: unknown = await detect(await tree(files), { ...noSettings, ...settings }).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'ERR_DETECT' })
  return error as AppError
}

async function found(files: Record<string, unknown>, settings: Partial<BuildSettings> = {}) {
  return detect(await tree(files), { ...noSettings, ...settings })
}

describe('precedence', () => {
  const next = { scripts: { build: 'next build' }, dependencies: { next: '16.4.5' }, devDependencies: { vite: '8.0.0', vitest: '5.0.0' } }
  test('Dockerfile, then Next.js, then Vite, then a server, then a page', async () => {
    const all = { Dockerfile: 'FROM scratch', 'package.json': next, 'vite.config.ts': '', 'server.js': '', 'index.html': '' }
    expect((await found(all)).framework).toBe('dockerfile')
    const { Dockerfile: _, ...withoutDocker } = all
    expect((await found(withoutDocker)).framework).toBe('nextjs')
    const withVite = { ...withoutDocker, 'package.json': { scripts: { build: 'vite build' }, devDependencies: { vite: '8.0.0' } } }
    expect((await found(withVite)).framework).toBe('vite')
    const withServer = {
      ...withVite,
      'package.json': { scripts: { build: 'vite build', start: 'node server.js' }, devDependencies: { vite: '8.0.0' } },
    }
    expect((await found(withServer)).framework).toBe('node')
    expect((await found({ 'index.html': '', 'index.js': '' })).framework).toBe('static')
    expect((await found({ 'index.html': '', 'server.js': '' })).framework).toBe('node')
  })

  test('a Dockerfile without FROM is none', async () => {
    expect((await found({ Dockerfile: '# later', 'index.html': '' })).framework).toBe('static')
  })

  test('a named output directory makes a site of an unknown builder', async () => {
    const detection = await found({ 'package.json': { scripts: { build: 'make' }, dependencies: {} } }, { outputDirectory: 'out' })
    expect(detection.shape).toMatchObject({ kind: 'static-build', outputDirectory: 'out' })
  })
})

describe('Hexo', () => {
  const packageJson = { scripts: { server: 'hexo server' }, dependencies: { hexo: '^8.1.2' } }
  const outputOf = async (config: string | null) =>
    (await found({ 'package.json': packageJson, ...(config === null ? {} : { '_config.yml': config }) })).report.settings.outputDirectory
  test('is built by its own command where no script builds it', async () => {
    const { framework, report } = await found({ 'package.json': packageJson })
    expect(framework).toBe('static')
    expect(report).toMatchObject({ summary: 'Hexo 8.1.2, npm, Node 24', settings: { buildCommand: 'npx --no-install hexo generate' } })
  })
  test.each([
    [null, 'public'],
    ['title: Blog\n', 'public'],
    ['public_dir:\nsource_dir: source\n', 'public'],
    ['public_dir: # the default\n', 'public'],
    ['# public_dir: old\npublic_dir: ./out/ # here\r\n', 'out'],
    ['public_dir: "web site"\n', 'web site'],
  ])('_config.yml %j writes to %j', async (config, directory) => {
    expect(await outputOf(config)).toBe(directory)
  })
  test.each(['/var/www', '../site'])('an output directory outside the project is never read: %j', async (directory) => {
    expect((await failure({ 'package.json': packageJson, '_config.yml': `public_dir: ${directory}\n` })).message).toContain('not recognised')
  })
  test.each(['hexo server', 'hexo s -p 4000'])('the development server is not what is deployed: %s', async (start) => {
    expect((await found({ 'package.json': { ...packageJson, scripts: { start } } })).framework).toBe('static')
  })
  test('an app with a server of its own stays a server', async () => {
    expect((await found({ 'package.json': { ...packageJson, scripts: { start: 'node server.js' } }, 'server.js': '' })).framework).toBe('node')
  })
})

describe('what cannot be built is explained', () => {
  test('nothing known: what was looked for, what is there, what helps', async () => {
    const error = await failure({ 'README.md': '', 'package.json': { scripts: { test: 'x' } } })
    expect(error.message).toMatch(
      /Looked for: a Dockerfile; next in the dependencies.*an index\.html\. Found: README\.md, package\.json \(scripts: test\)\.$/,
    )
    expect(error.details.nextAction).toContain('start command')
  })
  test('an empty tree', async () => {
    expect((await failure({})).message).toContain('Found: no files')
  })
  test('the app in a folder: names it', async () => {
    expect((await failure({ 'README.md': '', 'web/package.json': {}, 'docs/x': '' })).details.nextAction).toBe(
      'Set the root directory of the project to where the app is: web.',
    )
  })
  test('another language: asks for a Dockerfile', async () => {
    expect((await failure({ 'requirements.txt': '', 'app.py': '' })).details.nextAction).toContain('For Python add a Dockerfile')
  })
  test('a root directory that does not exist: names those that do', async () => {
    const error = await failure({ 'web/index.html': '' }, { rootDirectory: 'wbe' })
    expect(error.message).toContain('“wbe” does not exist')
    expect(error.details.nextAction).toContain('web/')
  })
  test.each(['../x', '/etc', 'a/../../b', 'a\0b', '..'])('a root or output directory outside the project: %j', async (directory) => {
    expect((await failure({ 'index.html': '' }, { rootDirectory: directory })).message).toContain('inside the project')
    expect((await failure({ 'index.html': '' }, { outputDirectory: directory })).message).toContain('inside the project')
  })
  test.each(['{', '[]', '"x"', 'null', ''])('a package.json that is no JSON object: %j', async (text) => {
    expect((await failure({ 'package.json': text })).message).toMatch(/not valid JSON|no JSON object/)
  })
  test('a package.json too large to be one', async () => {
    expect((await failure({ 'package.json': `{"a":"${'x'.repeat(1024 * 1024)}"}` })).message).toContain('larger than 1 MB')
  })
  test('odd types in package.json are as if they were not there', async () => {
    const odd = {
      name: 3,
      scripts: { build: 1, start: ['x'], constructor: 'x' },
      dependencies: 'next',
      engines: [],
      packageManager: {},
      main: false,
      workspaces: 5,
    }
    expect((await failure({ 'package.json': odd })).message).toContain('not recognised')
  })
})

describe('nothing outside the tree is read', () => {
  test('package.json, Dockerfile and root directory behind links', async () => {
    const outside = await tree({ 'package.json': { scripts: { start: 'node secret.js' } }, Dockerfile: 'FROM scratch' })
    const inside = await tree({ 'index.html': '' })
    await symlink(path.join(outside, 'package.json'), path.join(inside, 'package.json'))
    await symlink(path.join(outside, 'Dockerfile'), path.join(inside, 'Dockerfile'))
    await symlink(outside, path.join(inside, 'app'))
    expect((await detect(inside, noSettings)).framework).toBe('static')
    await expect(detect(inside, { ...noSettings, rootDirectory: 'app' })).rejects.toMatchObject({ code: 'ERR_DETECT' })
  })
})

describe('Node version', () => {
  test.each<[string, number[] | null]>([
    ['20', [20]],
    ['20.x', [20]],
    ['^22.1.0', [22]],
    ['~24.3', [24]],
    ['>=18', [20, 22, 24, 26]],
    ['>=20 <23', [20, 22]],
    ['>= 20.9.0 < 24.5', [20, 22, 24]],
    ['18 || 22 || 24', [22, 24]],
    ['20 - 22', [20, 22]],
    ['*', [20, 22, 24, 26]],
    ['', [20, 22, 24, 26]],
    ['<=16', []],
    ['v24.1.0', [24]],
    ['latest', null],
  ])('engines %j allows %j', (range, expected) => {
    expect(majorsWithin(range)).toEqual(expected)
  })

  const node = async (files: Record<string, unknown>, engines?: string) => {
    const { nodeMajor, report } = await found({
      'package.json': { scripts: { start: 'node .' }, ...(engines ? { engines: { node: engines } } : {}) },
      ...files,
    })
    return [nodeMajor, report.warnings.length]
  }
  test('24 by default; version files choose within engines; what does not fit is a warning', async () => {
    expect(await node({})).toEqual([24, 0])
    expect(await node({ '.nvmrc': 'v22.12.0\n' })).toEqual([22, 0])
    expect(await node({ '.nvmrc': 'lts/jod' })).toEqual([22, 0])
    expect(await node({ '.node-version': '26.1.0', '.nvmrc': '20' })).toEqual([26, 0])
    expect(await node({ '.tool-versions': 'python 3.1\nnodejs 20.1.0\n' })).toEqual([20, 0])
    expect(await node({ '.nvmrc': '20' }, '>=22')).toEqual([24, 1])
    expect(await node({ '.nvmrc': '18' })).toEqual([20, 1])
    expect(await node({}, '18.x')).toEqual([20, 1])
    expect(await node({}, 'banana')).toEqual([24, 1])
  })
})

describe('package managers', () => {
  const app = { scripts: { start: 'node .' }, dependencies: { a: '1' } }
  const packages = async (files: Record<string, unknown>, extra: object = {}) => {
    const { packages } = await found({ 'package.json': { ...app, ...extra }, ...files })
    return [packages.manager, packages.version, packages.installCommand]
  }
  test('by lock file, by packageManager before it, npm without both', async () => {
    expect(await packages({ 'package-lock.json': '{}' })).toEqual(['npm', null, 'npm ci --include=dev'])
    expect(await packages({ 'pnpm-lock.yaml': "lockfileVersion: '6.0'\n" })).toEqual(['pnpm', '8', 'pnpm install --frozen-lockfile --prod=false'])
    expect(await packages({ 'pnpm-lock.yaml': "lockfileVersion: '9.0'\n" }, { packageManager: 'pnpm@9.1.0+sha512.abc' })).toEqual([
      'pnpm',
      '9.1.0',
      'pnpm install --frozen-lockfile --prod=false',
    ])
    expect(await packages({ 'yarn.lock': '# yarn lockfile v1\n' })).toEqual(['yarn', '1', 'yarn install --frozen-lockfile --production=false'])
    expect(await packages({ 'yarn.lock': '__metadata:\n  version: 6\n' })).toEqual(['yarn', '3', 'yarn install --immutable'])
    expect(await packages({ 'package-lock.json': '{}' }, { packageManager: 'yarn@4.9.1' })).toEqual(['yarn', '4.9.1', 'yarn install --no-immutable'])
    expect(await packages({})).toEqual(['npm', null, 'npm install --include=dev'])
    expect(await packages({ 'bun.lock': '' })).toEqual(['npm', null, 'npm install --include=dev'])
    expect(await packages({}, { packageManager: 'npm@1; rm -rf /' })).toEqual(['npm', null, 'npm install --include=dev'])
  })

  test('an install that may read the source is never skipped; harmless hooks do not count', async () => {
    const keys = async (extra: object) =>
      (await found({ 'package.json': { ...app, ...extra }, 'package-lock.json': '{}', '.npmrc': '' })).packages.keyFiles
    expect(await keys({})).toEqual(['.npmrc', 'package-lock.json', 'package.json'])
    expect(await keys({ scripts: { start: 'x', prepare: 'husky' } })).toHaveLength(3)
    expect(await keys({ scripts: { start: 'x', postinstall: 'node generate.js' } })).toEqual([])
    expect(await keys({ dependencies: { a: 'file:../a' } })).toEqual([])
  })

  test.each([
    ['# yarn lockfile v1\n', '1'],
    ['__metadata:\n  version: 4\n', '2'],
    ['__metadata:\n  version: 6\n', '3'],
    ['__metadata:\n  version: 8\n', '4.12'],
    ['__metadata:\n  version: 9\n', '4.14'],
    ['__metadata:\n  version: 10\n', '4'],
  ])('Yarn is the one that leaves the lock file as it is: %j', async (lock, version) => {
    expect(await packages({ 'yarn.lock': lock })).toEqual(['yarn', version, expect.any(String)])
  })

  test('versions are read from lock files without parsing them', () => {
    expect(lockedVersion('{"packages":{"node_modules/next": {\n "version": "16.4.5"', 'package-lock.json', 'next')).toBe('16.4.5')
    expect(lockedVersion('\n"@a/b@^1.0.0", "@a/b@^1.1.0":\n  version "1.2.3"\n', 'yarn.lock', '@a/b')).toBe('1.2.3')
    expect(lockedVersion('\n"next@npm:^16.0.0":\n  version: 16.4.5\n', 'yarn.lock', 'next')).toBe('16.4.5')
    expect(lockedVersion('', 'yarn.lock', 'next')).toBeNull()
  })
})

describe('runtimes that builds do not have', () => {
  test.each<[string, Record<string, unknown>]>([
    ['Bun', { 'package.json': { scripts: { start: 'bun run server.ts' } } }],
    ['Bun', { 'package.json': { scripts: { build: 'tsc && bunx vite build', start: 'node server.js' } }, 'server.js': '' }],
    ['Deno', { 'package.json': { scripts: { start: 'deno task serve' } } }],
    ['Deno', { 'deno.json': {}, 'main.ts': '' }],
  ])('%s is named before anything is built: %j', async (name, files) => {
    const error = await failure(files)
    expect(error.message).toContain(`runs on ${name}`)
    expect(error.details.nextAction).toContain('Dockerfile')
  })
  test('a Dockerfile, or commands of the project’s own, stand in for them', async () => {
    const bun = { 'package.json': { scripts: { start: 'bun run server.ts' } }, 'server.js': '' }
    expect((await found({ ...bun, Dockerfile: 'FROM oven/bun' })).framework).toBe('dockerfile')
    expect((await found(bun, { startCommand: 'node server.js' })).framework).toBe('node')
  })
})

describe('EXPOSE', () => {
  test.each<[string, number | null]>([
    ['FROM a\nEXPOSE 8080', 8080],
    ['FROM a\nexpose 8080/tcp 9090', 8080],
    ['FROM a\nEXPOSE 53/udp 80', 80],
    ['FROM a\nENV PORT 3001\nEXPOSE $PORT', 3001],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the language of Dockerfiles
    ['FROM a\nENV A=1 PORT="4000"\nEXPOSE ${PORT}', 4000],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the language of Dockerfiles
    ['FROM a\nEXPOSE ${PORT:-5000}', 5000],
    ['FROM a\nEXPOSE 99999', null],
    ['FROM a\nEXPOSE 1\nFROM b', null],
    ['FROM a\n# EXPOSE 80', null],
    ['FROM a', null],
  ])('%j', (text, port) => {
    expect(exposedPort(text)).toBe(port)
  })
})
