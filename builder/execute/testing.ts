import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build as bundle } from 'esbuild'
import { type BuilderOptions, createBuilder } from '@/builder'
import type { BuildEvents, BuildRequest } from '@/builder/builder'
import { connectEngine } from '@/builder/engine'
import { noSettings } from '@/shared/build-plan'
import { newId } from '@/shared/node/ids'
import { createLocalStore } from '@/storage/local'
import { type ArchiveEntry, archiveBytes } from './archive'

// Harness of the builder's integration tests: a builder with a home of its own, sources from memory, recorded events.

// biome-ignore lint/style/noProcessEnv: a test's engine is named by the harness
export const dockerSocket = (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', '')
/** Integrity hash of a small package without dependencies, as `npm install` writes it. */
export const smallApp: Record<string, string> = {
  'package.json': JSON.stringify({
    name: 'app',
    version: '1.0.0',
    private: true,
    dependencies: { ms: '2.1.3' },
    scripts: { start: 'node server.js' },
  }),
  'package-lock.json': JSON.stringify({
    name: 'app',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'app', version: '1.0.0', dependencies: { ms: '2.1.3' } },
      'node_modules/ms': {
        version: '2.1.3',
        resolved: 'https://registry.npmjs.org/ms/-/ms-2.1.3.tgz',
        integrity: 'sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==',
        license: 'MIT',
      },
    },
  }),
  'server.js': `const ms = require('ms'); require('node:http').createServer((q, s) => s.end('one day is ' + ms(86400000))).listen(process.env.PORT, '0.0.0.0')`,
}

/** An app without dependencies and with this build command. */
export function appWithBuild(command: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    'package.json': JSON.stringify({ name: 'app', version: '1.0.0', private: true, scripts: { build: command, start: 'node server.js' } }),
    'package-lock.json': JSON.stringify({
      name: 'app',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': { name: 'app', version: '1.0.0' } },
    }),
    'server.js': `require('node:http').createServer((q, s) => s.end('hello')).listen(process.env.PORT, '0.0.0.0')`,
    ...more,
  }
}

export async function startBuilder(overrides: Partial<BuilderOptions> = {}) {
  const home = overrides.home ?? (await mkdtemp(path.join(tmpdir(), 'switchyard-builder-')))
  const installationId = `test${newId()}`
  const storage = createLocalStore(path.join(home, 'storage'))
  const staticServerFile = path.join(home, 'static-server.mjs')
  const entry = fileURLToPath(new URL('../static-server/main.ts', import.meta.url))
  await bundle({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: staticServerFile, logLevel: 'silent' })
  const options: BuilderOptions = {
    installationId,
    home,
    storage,
    dockerSocket,
    nodeBinary: process.execPath,
    staticServerFile,
    hostEnv: {},
    logger: { info: () => {}, warn: () => {} },
    baseImage: 'local',
    ...overrides,
  }
  const builder = await createBuilder(options)
  return { builder, home, installationId, storage, options, remove: () => rm(home, { recursive: true, force: true }) }
}

export type TestBuilder = Awaited<ReturnType<typeof startBuilder>>

/** Records the events of a build. */
export function recorder() {
  const lines: { step: string; stream: string; text: string }[] = []
  const steps: { step: string; status: string; cached: boolean }[] = []
  let onText: ((text: string) => void) | null = null
  const events: BuildEvents = {
    onLog: (line) => {
      lines.push(line)
      onText?.(line.text)
    },
    onStepStart: async () => {},
    onStepEnd: async (step, outcome) => void steps.push({ step, status: outcome.status, cached: outcome.cached ?? false }),
  }
  return {
    events,
    lines,
    steps,
    text: () => lines.map((line) => line.text).join('\n'),
    /** Resolves when a line contains the text. */
    saw: (wanted: string) =>
      new Promise<void>((resolve) => {
        if (lines.some((line) => line.text.includes(wanted))) return resolve()
        onText = (text) => {
          if (text.includes(wanted)) resolve()
        }
      }),
  }
}

/** A build request for these files. */
export async function requestFor(test: TestBuilder, files: Record<string, string>, overrides: Partial<BuildRequest> = {}): Promise<BuildRequest> {
  const entries: ArchiveEntry[] = Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => ({ name, type: 'file', mode: 0o644, size: Buffer.byteLength(text), content: Buffer.from(text) }))
  const { digest } = await test.storage.put(archiveBytes(entries, { uid: 0, gid: 0 }))
  const deploymentId = newId()
  return {
    installationId: test.installationId,
    teamId: 'team',
    projectId: `project${deploymentId}`,
    projectSlug: `test-${deploymentId}`,
    deploymentId,
    source: { kind: 'archive', digest },
    settings: noSettings,
    env: {},
    target: 'image',
    limits: { memoryBytes: 1024 ** 3, cpus: 2, pids: 512, timeoutMs: 110_000 },
    reuse: async () => null,
    ...overrides,
  }
}

export async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

/** Removes images and networks of the builder under test, then its home. */
export async function removeOwned(test: TestBuilder): Promise<void> {
  const engine = connectEngine(dockerSocket)
  const filters = { label: [`switchyard.installationId=${test.installationId}`] }
  for (const image of await engine.listImages({ filters })) await engine.getImage(image.Id).remove({ force: true })
  for (const network of await engine.listNetworks({ filters })) await engine.getNetwork(network.Id).remove()
  await test.remove()
}
