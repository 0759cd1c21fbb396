import { type App, buildCommandOf, cleanDirectory, hasDependency, type Match, type Provider, titleOf } from '../provider'
import { type FoundStart, startOf } from '../start-script'

const libraries: [string, string][] = [
  ['@nestjs/core', 'NestJS'],
  ['fastify', 'Fastify'],
  ['express', 'Express'],
  ['hono', 'Hono'],
  ['koa', 'Koa'],
  ['@hapi/hapi', 'hapi'],
  ['nuxt', 'Nuxt'],
  ['@sveltejs/kit', 'SvelteKit'],
  ['astro', 'Astro'],
  ['@remix-run/node', 'Remix'],
  ['@react-router/node', 'React Router'],
]
/** Build outputs of server frameworks, for projects without a start script. */
const builtServers: { dependency: string; entry: string; build: string }[] = [
  { dependency: 'nuxt', entry: '.output/server/index.mjs', build: 'nuxt build' },
  { dependency: '@sveltejs/adapter-node', entry: 'build/index.js', build: 'vite build' },
  { dependency: '@astrojs/node', entry: 'dist/server/entry.mjs', build: 'astro build' },
  { dependency: '@tanstack/react-start', entry: '.output/server/index.mjs', build: 'vite build' },
  { dependency: '@solidjs/start', entry: '.output/server/index.mjs', build: 'vinxi build' },
  { dependency: '@nestjs/core', entry: 'dist/main.js', build: 'nest build' },
]
const entryNames = ['server', 'index', 'app', 'main', 'src/server', 'src/index', 'src/app', 'src/main']
// Node runs TypeScript directly if its types can be erased.
const entryExtensions = ['js', 'mjs', 'cjs', 'ts', 'mts']
const developmentTools = /\b(nodemon|ts-node-dev|tsx watch|next dev|vite dev|node --watch)\b/

async function findEntry(app: App): Promise<string | null> {
  const main = app.packageJson?.main
  if (main) {
    const clean = cleanDirectory(main)
    if (clean && (await app.files.isFile(clean))) return clean
    for (const suffix of ['.js', '.mjs', '.cjs', '/index.js']) if (clean && (await app.files.isFile(clean + suffix))) return clean + suffix
    // The entry is created by the build.
    if (clean && app.packageJson?.scripts.build !== undefined && /\.[cm]?js$/.test(clean)) return clean
  }
  for (const name of entryNames)
    for (const extension of entryExtensions) if (await app.files.isFile(`${name}.${extension}`)) return `${name}.${extension}`
  return null
}

async function findStart(app: App): Promise<{ start: FoundStart; build: string | null } | null> {
  const built = builtServers.find(({ dependency }) => hasDependency(app, dependency))
  const start = startOf(app)
  if (start) return { start, build: built?.build ?? null }
  if (built)
    return {
      start: {
        before: [],
        command: null,
        entry: built.entry,
        env: {},
        evidence: [{ file: 'package.json', found: `${built.dependency} in the dependencies` }],
      },
      build: built.build,
    }
  const entry = await findEntry(app)
  if (entry === null) return null
  // An index.html next to a script without package.json is a static page.
  if (!app.packageJson && !/^server\./.test(entry) && (await app.files.isFile('index.html'))) return null
  return {
    start: {
      before: [],
      command: null,
      entry,
      env: {},
      evidence: [{ file: entry, found: entry === app.packageJson?.main ? 'main of package.json' : 'a server entry' }],
    },
    build: null,
  }
}

async function match(app: App): Promise<Match | null> {
  const found = await findStart(app)
  if (!found) return null
  const { evidence, ...start } = found.start
  const library = libraries.find(([name]) => hasDependency(app, name))
  const command = start.command ?? `node ${start.entry}`
  const warnings: string[] = []
  if (developmentTools.test(command))
    warnings.push(`The start script runs a development tool (${developmentTools.exec(command)?.[0]}): set a start command for production`)
  if (app.settings.outputDirectory !== null) warnings.push('The output directory is not used: this app runs as a server')
  return {
    framework: 'node',
    title: library ? titleOf(app, library[1], library[0]) : 'Node server',
    shape: { kind: 'node', start, cacheDirectories: [] },
    buildCommand: buildCommandOf(app, found.build),
    buildEnv: {},
    startCommand: command,
    outputDirectory: null,
    evidence,
    warnings,
  }
}

export const nodeServer: Provider = { name: 'Node server', looksFor: 'a start script or main in package.json, or server.js', match }
