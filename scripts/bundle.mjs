// Bundles every process of the platform to dist/: one file each. Dependencies stay in node_modules, except where they would cost.
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { markBuilt } from './support/build.mjs'
import { writeCliPackage } from './support/cli-package.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const processes = {
  switchyard: 'server/supervisor.ts',
  control: 'server/main.ts',
}
// Starts in half the time as CommonJS with its dependencies in it: importing node:http as an ES module evaluates every export, undici included.
const commonJs = {
  router: 'router/main.ts',
}
const standalone = {
  // A command of a second: a third of its start was finding and reading the files of its dependencies.
  cli: 'cli/main.ts',
  // Copied into users' artifacts, where there is no node_modules of ours.
  'static-server': 'builder/static-server/main.ts',
  // Started for each archive.
  unpacker: 'builder/source/unpacker.ts',
}

// `node scripts/bundle.mjs router cli` bundles those alone.
const wanted = process.argv.slice(2)
const all = { ...processes, ...commonJs, ...standalone }
const names = wanted.length > 0 ? wanted : Object.keys(all)
const unknown = names.filter((name) => !(name in all))
if (unknown.length > 0) {
  console.error(`bundle: no entry point is called ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}`)
  process.exit(1)
}
const missing = names.map((name) => all[name]).filter((file) => !existsSync(path.join(root, file)))
if (missing.length > 0) {
  console.error(`bundle: entry points are missing: ${missing.join(', ')}`)
  process.exit(1)
}

const started = performance.now()
// CommonJS dependencies that are bundled call require() of Node's own modules.
const requireShim = "import { createRequire as switchyardRequire } from 'node:module'; const require = switchyardRequire(import.meta.url);"
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  sourcemap: true,
  tsconfig: 'tsconfig.json',
  // `server-only` throws outside React's server bundle; here everything is the server.
  alias: { '@': root.replace(/\/$/, ''), 'server-only': path.join(root, 'test/server-only.ts') },
  logLevel: 'warning',
}

const chosen = (entries) => Object.fromEntries(Object.entries(entries).filter(([name]) => wanted.length === 0 || wanted.includes(name)))
try {
  await Promise.all([
    build({ ...common, entryPoints: chosen(processes), packages: 'external' }),
    build({ ...common, format: 'cjs', outExtension: { '.js': '.cjs' }, entryPoints: chosen(commonJs) }),
    // The command runs on the Node of whoever installs it, artifacts on that of the app.
    build({ ...common, target: 'node20', entryPoints: chosen(standalone), banner: { js: requireShim } }),
  ])
} catch {
  // esbuild has said what is wrong, and where.
  process.exit(1)
}
for (const name of names.filter((entry) => entry in commonJs))
  await writeFile(path.join(root, `dist/${name}.mjs`), `process.getBuiltinModule('node:module').createRequire(import.meta.url)('./${name}.cjs')\n`)
if (names.includes('cli')) await writeCliPackage(root)
console.log(`bundled ${names.join(', ')} to dist/ in ${Math.round(performance.now() - started)} ms`)
// Only as the last part of `npm run build` is the dashboard in .next of the same sources.
if (process.env.npm_lifecycle_event === 'build' && wanted.length === 0) markBuilt()
